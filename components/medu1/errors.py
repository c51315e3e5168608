"""Errors that teach: what is wrong, why, and what to do next, in one paragraph.

A bad configuration or a bad file is a stop and raises `Stop`; a bad completion is data and never raises.
"""

EXIT_CODE = 2


class Stop(Exception):
    """A condition the user can mend: the command line prints it as one paragraph and exits with code 2."""

    def __init__(self, fact: str, reason: str = "", next_step: str = "") -> None:
        self.fact, self.reason, self.next_step = fact, reason, next_step
        super().__init__(" ".join(part for part in (fact, reason, next_step) if part))


class Interrupted(SystemExit):
    """Asked to end by SIGTERM, after saving what the next attempt goes on from: exit code 75, EX_TEMPFAIL."""

    CODE = 75

    def __init__(self, where: str) -> None:
        self.where = where  # what is kept, for a person
        super().__init__(self.CODE)
