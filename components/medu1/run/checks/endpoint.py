"""The server that answers for the models, where the parameters name one: it is reached, and takes the key.

Which models it serves is not asked here: the candidate does not exist yet.
"""

import json
import os
from typing import Any, Final
from urllib.parse import urlsplit

from medu1.errors import Stop
from medu1.run.asked import Asked
from medu1.run.finding import Checks

KEY: Final = "MEDU1_ENDPOINT_KEY"
SECONDS: Final = (5.0, 15.0)  # to connect, to answer
LONGEST: Final = 2**20  # bytes of a list of models


def checks(asked: Asked) -> Checks:
    """None where models are loaded by the step itself."""
    if asked.evaluate.backend != "endpoint":
        return {}
    return {"endpoint": lambda: check(asked.evaluate.endpoint.url, os.environ.get(KEY, "").strip())}


def check(url: str, key: str) -> str:
    """How many models it lists. Raises Stop where it does not answer as such a server does, or not to this key."""
    parts = urlsplit(url)
    where = f"{parts.scheme}://{parts.netloc}{parts.path}"
    status, body = _asked(where, key)
    if status in (401, 403):
        raise Stop(f"{where} answers {status}.", f"{KEY} is not taken." if key else f"{KEY} is not set.", f"Set {KEY}.")
    models = body.get("data") if status == 200 and isinstance(body, dict) else None
    if not isinstance(models, list):
        raise Stop(
            f"{where}/models answers {status}, and not with a list of models.",
            "No OpenAI-compatible server is there.",
            "Name the root of the API in evaluate.endpoint.url, mostly one that ends in /v1.",
        )
    return f"{where} answers and lists {len(models)} models."


def _asked(where: str, key: str) -> tuple[int, Any]:
    import requests  # type: ignore[import-untyped]

    def signed(request: Any) -> Any:
        """As an authentication of its own: a header alone gives way to what a .netrc says."""
        request.headers["Authorization"] = f"Bearer {key or 'none'}"
        return request

    try:
        with requests.get(
            f"{where.rstrip('/')}/models", auth=signed, timeout=SECONDS, allow_redirects=False, stream=True
        ) as answer:
            content = next(answer.iter_content(LONGEST), b"")
    except (requests.RequestException, ValueError) as error:  # its words may hold the key
        raise Stop(
            f"{where} cannot be reached ({type(error).__name__}).",
            next_step="Start the server, or mend evaluate.endpoint.url.",
        ) from None
    try:
        return int(answer.status_code), json.loads(content)
    except ValueError:
        return int(answer.status_code), None
