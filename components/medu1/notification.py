"""Who is told how a run ended: one message, as JSON for a machine or as Slack takes it."""

from medu1.section import Section


class Notify(Section):
    """Who is told; addresses that may hold a secret are in the environment."""
