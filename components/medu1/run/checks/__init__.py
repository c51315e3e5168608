"""What a run needs, looked at before any accelerator is asked for: one file a thing, each a mapping of checks."""
