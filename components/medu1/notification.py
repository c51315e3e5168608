"""Who is told how a run ended: which ends are told, in which form, and by which mail server.

Addresses that may hold a secret, and passwords, are in the environment: MEDU1_NOTIFY_URL, MEDU1_SMTP_USER and
MEDU1_SMTP_PASSWORD.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from medu1.section import Section

Ending = Literal["succeeded", "refused", "failed", "cancelled"]  # refused: the candidate did not pass its decision
Event = Literal["succeeded", "refused", "failed", "cancelled", "registered"]  # registered: beside succeeded
Address = Annotated[str, Field(pattern=r"^[^\s@<>,;:\"()\\]+@[^\s@<>,;:\"()\\]+$")]


class Email(Section):
    """A mail server, and who writes to whom."""

    host: str  # "": no e-mail
    port: Annotated[int, Field(ge=1, le=65535)]
    security: Literal["starttls", "tls", "none"]  # none: without a password, to a server of this machine or network
    sender: Address | Literal[""]
    recipients: tuple[Address, ...]

    @model_validator(mode="after")
    def _has_both_ends(self) -> Self:
        if self.host and not (self.sender and self.recipients):
            raise ValueError("a host needs a sender and recipients")
        return self


class Notify(Section):
    """What is told, and how."""

    events: tuple[Event, ...]  # none: nobody is told
    format: Literal["json", "slack"]  # of the message to MEDU1_NOTIFY_URL
    ui: Annotated[str, Field(pattern=r"^(https?://[^\s@<>|\"]+)?$")]  # MLflow's address for people; "": the server's
    email: Email
