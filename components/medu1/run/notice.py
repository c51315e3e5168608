"""An outcome as a message: JSON for machines, Slack's blocks for a channel, plain text for a mail.

What an error says may come from anyone, a question's author or a server among them. In Slack's form it is cut, stands
in a code block, and can neither mention nor link; Mattermost and others that take this form read `@all` in plain text,
so each @ is followed by a character without width.
"""

import json
from typing import Any, Final

from medu1.run.outcome import Outcome
from medu1.words import line

LONGEST: Final = 400  # characters of an error; a Slack section takes 3,000
NARROW: Final = "\u200b"
SIGNS: Final = {
    "succeeded": ":white_check_mark:",
    "refused": ":no_entry_sign:",
    "failed": ":x:",
    "cancelled": ":double_vertical_bar:",
}
SAID: Final = {
    "succeeded": "succeeded",
    "refused": "ended",
    "failed": "failed",
    "cancelled": "was stopped",
}


def as_json(outcome: Outcome) -> str:
    """Every field, and the events that were told of."""
    told = outcome.model_dump(mode="json") | {"events": sorted(outcome.events), "key": outcome.key}
    return json.dumps(told, sort_keys=True)


def as_slack(outcome: Outcome) -> str:
    """A section of text, one of the error, one with the link; `text` is what a notification shows."""
    head = _escaped(headline(outcome))
    blocks = [_section(f"{SIGNS[outcome.ending]} {head}")]
    if outcome.error:
        blocks.append(_section(f"```{_escaped(line(outcome.error, LONGEST)).replace('`', chr(39))}```"))
    if outcome.link:
        blocks.append(_section(f"<{_escaped(outcome.link)}|The run in MLflow>"))
    message = {"text": head, "blocks": blocks, "parse": "none", "link_names": False, "unfurl_links": False}
    return json.dumps(message, sort_keys=True)


def as_text(outcome: Outcome) -> str:
    """Lines of a mail."""
    return "\n".join(filter(None, (f"{headline(outcome)}.", outcome.error, outcome.link, "")))


def headline(outcome: Outcome) -> str:
    """One line."""
    where = f" in {outcome.step}" if outcome.step else ""
    after = f" after {_duration(outcome.seconds)}" if outcome.seconds is not None else ""
    return line(f"medu1 run {outcome.run} {SAID[outcome.ending]}{where}{after}{_came_to(outcome)}")


def _came_to(outcome: Outcome) -> str:
    if outcome.ending == "refused":
        return ": the candidate did not pass its decision"
    return f": version {outcome.version} of {outcome.model} is registered" if outcome.version else ""


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _escaped(words: str) -> str:
    """As Slack asks for it, without mentions."""
    escaped = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("@", f"@{NARROW}")


def _duration(seconds: float) -> str:
    minutes, hours = round(seconds / 60), seconds / 3600
    return f"{seconds:.0f} s" if seconds < 90 else f"{minutes} min" if minutes < 90 else f"{hours:.1f} h"
