"""Who is to know is told, by a webhook, by mail, or by both; none of it can hurt the run that is told of.

Each way is tried by itself and in bounded time. What came of it is a line in the journal and a tag of the run; one that
took it is not told the same end again.
"""

import os
from collections.abc import Collection
from functools import partial
from typing import Final

from medu1.errors import Stop
from medu1.notification import Notify
from medu1.run import mail, notice
from medu1.run.finding import Check, Finding, look
from medu1.run.outcome import Outcome
from medu1.webhook import Failed, host, is_address, post

URL: Final = "MEDU1_NOTIFY_URL"  # in the environment
LIMIT_SECONDS: Final = 120.0  # all ways together, retries included
WEBHOOK, MAIL = "webhook", "mail"


def tell(params: Notify, outcome: Outcome, told: Collection[str] = ()) -> tuple[Finding, ...]:
    """What came of each way but those that were told already; nothing is raised."""
    if not outcome.events & set(params.events):
        return ()
    ways = {name: way for name, way in _ways(params, outcome).items() if name not in told}
    return look(ways, LIMIT_SECONDS)


def _ways(params: Notify, outcome: Outcome) -> dict[str, Check]:
    url = os.environ.get(URL, "").strip()
    ways: dict[str, Check] = {WEBHOOK: partial(_post, url, params, outcome)} if url else {}
    if params.email.host:
        ways[MAIL] = partial(_mail, params, outcome)
    return ways or {WEBHOOK: _nobody}


def _nobody() -> str:
    raise Stop(f"nobody is told: {URL} is not set, and notify.email.host is empty.")


def _post(url: str, params: Notify, outcome: Outcome) -> str:
    message = notice.as_slack(outcome) if params.format == "slack" else notice.as_json(outcome)
    try:
        if not is_address(url):
            raise Failed(f"{URL} is no http or https URL")
        post(url, message, outcome.key)
    except Failed as failed:
        raise Stop(f"not told: {failed}.") from None
    return f"{host(url)} is told: {outcome.ending}."


def _mail(params: Notify, outcome: Outcome) -> str:
    try:
        mail.send(params.email, notice.headline(outcome), notice.as_text(outcome), outcome.key)
    except Failed as failed:
        raise Stop(f"not told: {failed}.") from None
    return f"{len(params.email.recipients)} recipients are told: {outcome.ending}."
