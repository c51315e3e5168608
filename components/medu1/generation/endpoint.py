"""A model behind an OpenAI-compatible server, asked through the `openai` client, several requests at once.

The server renders the conversation and stops the reply, so the model must be served with its own chat template. What a
server says is quoted in errors, cut and on one line; the key never is.
"""

import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

from medu1.errors import Stop
from medu1.generation.backend import Conversation, Decoding, Progress, Reply, silent
from medu1.generation.seeds import seeds
from medu1.judging import Endpoint

KEY = "MEDU1_ENDPOINT_KEY"
NO_KEY = "none"  # what servers that ask for no key are sent: the client insists on one
RETRIES = 4  # of a request that fails in a way that may pass, each after a longer wait
QUOTED = 300  # characters of a server's words in an error
RESUME = "Then run again: verdicts that are stored are not generated again."

T = TypeVar("T")


def key() -> str:
    """The key in the environment, or a placeholder. Raises Stop where it could not travel in a header."""
    found = os.environ.get(KEY, "").strip() or NO_KEY
    if not re.fullmatch(r"[!-~]{1,8192}", found):
        raise Stop(f"{KEY} holds blanks or characters that no HTTP header carries.", next_step="Set it to the key.")
    return found


def connected(params: Endpoint, *, role: str, weights: str, key: str) -> "Server":
    """The server, which serves the model under its name. Raises Stop where it does not or cannot be asked."""
    server = Server(params, params.model.replace("{weights}", weights).replace("{role}", role), key)
    server.require_model()
    return server


class Server:
    """One model of one server."""

    def __init__(self, params: Endpoint, model: str, key: str) -> None:
        from openai import OpenAI

        self._params, self._model, self._key = params, model, key
        self._client = OpenAI(base_url=params.url, api_key=key, timeout=params.timeout, max_retries=RETRIES)
        self._client.organization = self._client.project = None  # an account elsewhere, which the environment may name

    def require_model(self) -> None:
        """Raises Stop naming what is served where the model is not."""
        with self._explained():
            served = _names(self._client.get("/models", cast_to=object))
        if self._model not in served:
            raise Stop(
                f"{self._where} does not serve {self._model}.",
                f"It serves {', '.join(_line(each) for each in served[:20]) or 'nothing'}.",
                "Serve the model under that name, or name it in evaluate.endpoint.model, where {weights} and {role} "
                "stand for the weights digest and the role.",
            )

    def replies(
        self, conversations: Sequence[Conversation], decoding: Decoding, on_progress: Progress = silent
    ) -> list[Reply]:
        """One reply a conversation, in order, `concurrency` at once. Raises Stop at the first that fails for good."""
        asked = list(zip(conversations, seeds(conversations, decoding.seed), strict=True))
        with ThreadPoolExecutor(self._params.concurrency) as pool:
            try:
                waiting = [pool.submit(self._reply, conversation, decoding, seed) for conversation, seed in asked]
                return _gathered(waiting, on_progress)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _reply(self, conversation: Conversation, decoding: Decoding, seed: int) -> Reply:
        sampled: dict[str, Any] = {"seed": seed, "top_p": 1.0} if decoding.temperature else {}
        turns: Any = list(conversation)
        with self._explained():
            answer = self._client.chat.completions.create(
                model=self._model,
                messages=turns,
                max_tokens=decoding.max_tokens,
                temperature=decoding.temperature,
                **sampled,
            )
            return _read(answer)

    @property
    def _where(self) -> str:
        """The server, without what a URL may hold of names and keys."""
        parts = urlsplit(self._params.url)
        return f"{parts.scheme}://{parts.netloc}{parts.path}"

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Every way to fail as a Stop; none carries the request, which holds the key."""
        import openai

        try:
            yield
        except openai.APIStatusError as error:
            raise self._refused(error.status_code, error.message) from None
        except openai.APITimeoutError:
            raise Stop(
                f"{self._where} did not answer within {self._params.timeout:,} seconds, {RETRIES + 1} times.",
                next_step=f"Raise evaluate.endpoint.timeout or lower evaluate.endpoint.concurrency. {RESUME}",
            ) from None
        except openai.APIConnectionError as error:
            raise Stop(
                f"{self._where} cannot be reached: {self._quoted(error.__cause__ or error)}.",
                next_step=f"Start the server, or mend evaluate.endpoint.url. {RESUME}",
            ) from None
        except (_Strange, ValueError, openai.APIResponseValidationError) as error:
            raise Stop(
                f"{self._where} answers what no OpenAI-compatible server says: {self._quoted(error)}.",
                "The address may be that of a page or a proxy.",
                "Name the root of the API in evaluate.endpoint.url, mostly one that ends in /v1.",
            ) from None
        except openai.OpenAIError as error:
            raise Stop(f"{self._where} cannot be asked: {self._quoted(error)}.") from None

    def _refused(self, status: int, message: str) -> Stop:
        """What a status means here."""
        said = f"{self._where} answers {status}: {self._quoted(message)}."
        if status in (401, 403):
            what = "is not set" if self._key == NO_KEY else "is not accepted"
            return Stop(f"{self._where} answers {status}.", f"{KEY} {what}.", f"Set {KEY} to a key of that server.")
        if status == 404:
            return Stop(said, next_step="Name the root of the API in evaluate.endpoint.url, mostly one ending in /v1.")
        if status == 429:
            return Stop(
                said,
                f"It was asked up to {RETRIES + 1} times.",
                f"Lower evaluate.endpoint.concurrency, or wait. {RESUME}",
            )
        if status >= 500:
            return Stop(said, f"It was asked up to {RETRIES + 1} times.", f"Look at the server's own log. {RESUME}")
        return Stop(said, next_step="The request is at fault: a reply or a conversation may be longer than it allows.")

    def _quoted(self, words: object) -> str:
        text = str(words)
        return _line(text if self._key == NO_KEY else text.replace(self._key, "[key]"))


class _Strange(Exception):
    """An answer that is not what the interface promises."""


def _gathered(waiting: Sequence[Future[Reply]], on_progress: Progress) -> list[Reply]:
    for done, each in enumerate(as_completed(waiting), start=1):
        each.result()
        on_progress(done, len(waiting))
    return [each.result() for each in waiting]


def _names(listed: Any) -> list[str]:
    """What a list of models calls them."""
    models = listed.get("data") if isinstance(listed, dict) else None
    names = [each.get("id") if isinstance(each, dict) else None for each in models or ()]
    if not isinstance(models, list) or not all(isinstance(each, str) for each in names):
        raise _Strange(listed if isinstance(listed, str) else "no list of models")
    return [str(each) for each in names]


def _read(answer: Any) -> Reply:
    choices = getattr(answer, "choices", None)
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = getattr(choice, "message", None)
    if message is None:
        raise _Strange(answer if isinstance(answer, str) else getattr(answer, "error", None) or "no choices")
    tokens = getattr(getattr(answer, "usage", None), "completion_tokens", None)
    return Reply(
        text=_text(message),
        tokens=tokens if isinstance(tokens, int) else None,
        finish="length" if getattr(choice, "finish_reason", None) == "length" else "stop",
    )


def _text(message: Any) -> str:
    """The content, after the reasoning that some servers take out of it."""
    content = getattr(message, "content", None) or ""
    if not isinstance(content, str):
        raise _Strange("content that is no text")
    reasoning = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None)
    if isinstance(reasoning, str) and "<think>" not in content:
        return f"<think>{reasoning}</think>{content}"
    return content


def _line(words: str) -> str:
    """A server's words, cut and on one line."""
    line = " ".join("".join(each if each.isprintable() else " " for each in words[: 4 * QUOTED]).split())
    return line if len(line) <= QUOTED else f"{line[:QUOTED]}…"
