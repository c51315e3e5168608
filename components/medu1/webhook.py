"""One POST to an address that may hold a secret: repeated a few times, ended in bounded time, never quoted.

A receiver may see the same message twice; it knows a repetition by the header `Idempotency-Key`. Nothing here says more
of the address than its host. A redirect is not followed: it would hand the message to a place nobody named.
"""

import re
from typing import Final
from urllib.parse import urlsplit

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 15.0  # without a byte of the answer
RETRIES: Final = 2
PAUSE: Final = 0.2  # seconds before a retry, doubled for each further one; what the receiver asks for is not waited for
PASSING: Final = (429, 500, 502, 503, 504)  # answers that another attempt may change
ADDRESS: Final = re.compile(r"https?://", re.IGNORECASE)


class Failed(Exception):
    """Why nobody took it, in words without a secret."""


def is_address(text: str) -> bool:
    """Whether it is a URL that `post` takes."""
    return bool(ADDRESS.match(text))


def post(url: str, message: str, key: str) -> None:
    """Send JSON; `key` is the same whenever the same thing is told. Raises Failed where it is not taken."""
    import requests  # type: ignore[import-untyped]
    from requests.adapters import HTTPAdapter  # type: ignore[import-untyped]
    from urllib3 import Retry

    again = Retry(
        RETRIES,
        backoff_factor=PAUSE,
        status_forcelist=PASSING,
        allowed_methods=None,
        raise_on_status=False,
        respect_retry_after_header=False,
    )
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=again))
        try:
            with session.post(
                url,
                data=message.encode(),
                headers={"Content-Type": "application/json", "Idempotency-Key": key},
                timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
                allow_redirects=False,
                stream=True,  # the body says nothing that is needed, and may never end
            ) as answer:
                status = answer.status_code
        except (requests.RequestException, ValueError) as error:  # its words have the whole URL
            raise Failed(f"{host(url)} cannot be reached ({type(error).__name__})") from None
    if not 200 <= status < 300:
        raise Failed(f"{host(url)} answers {status}")


def host(url: str) -> str:
    """The host and port: what lies before and after them may be a secret."""
    try:
        found = urlsplit(url)
        return f"{found.hostname or 'its host'}{f':{found.port}' if found.port else ''}"
    except ValueError:
        return "its host"
