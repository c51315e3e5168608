"""medu1: retrain medical reasoning models with GRPO, judge them on held-out questions, register the better ones."""

__version__ = "0.1.0"
