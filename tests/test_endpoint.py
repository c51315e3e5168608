"""A model behind an OpenAI-compatible server answers as it does here, and every way a server fails is explained."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import torch
import uvicorn
from fastapi import FastAPI, Request, Response

from medu1.errors import Stop
from medu1.generation import endpoint, local
from medu1.generation.backend import Conversation, Decoding, Reply
from medu1.generation.endpoint import KEY, NO_KEY, RETRIES, Server, connected
from medu1.generation.local import LocalModel
from medu1.judging import Endpoint
from medu1.prompt import messages
from models import write_tiny
from training import CHOICES, SUM, TINY

pytestmark = pytest.mark.usefixtures("one_thread", "no_proxies")
SECRET = "sk-very-secret"
ASKED = [cast(Conversation, messages(each)) for each in (*CHOICES, SUM)]
GREEDY = Decoding(max_tokens=24, batch=4)
SOON = {"retry-after-ms": "1"}  # what spares a test the client's waits

Answer = Callable[[dict[str, Any]], Response | None]  # the request's body -> what to say; None: what the model says


@dataclass
class Served:
    """A server of one model, what it was asked, and what it says in the model's place."""

    model: LocalModel
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    at_once: int = 0  # requests under way, at most so far
    names: Sequence[str] = ("digest-candidate",)
    answers: list[Answer] = field(default_factory=list)  # of the next requests; then the model's
    listing: Answer = lambda body: None
    _under_way: int = 0
    _lock: Any = field(default_factory=threading.Lock)

    def reply(self, body: dict[str, Any]) -> Response:
        with self._lock:
            self.asked.append(body)
            self._under_way += 1
            self.at_once = max(self.at_once, self._under_way)
            scripted = self.answers.pop(0) if self.answers else None
        try:
            return (scripted(body) if scripted else None) or self._by_the_model(body)
        finally:
            with self._lock:
                self._under_way -= 1

    def _by_the_model(self, body: dict[str, Any]) -> Response:
        decoding = Decoding(body["max_tokens"], 1, body["temperature"], body.get("seed", 0))
        with self._lock:
            (found,) = self.model.replies([body["messages"]], decoding)
        return said(found.text, finish_reason=found.finish, tokens=found.tokens)

    def params(self, **changes: Any) -> Endpoint:
        return Endpoint(**{"url": self.url, "model": "{weights}-{role}", "concurrency": 3, "timeout": 60, **changes})

    def connected(self, key: str = SECRET, **changes: Any) -> Server:
        return connected(self.params(**changes), role="candidate", weights="digest", key=key)


def said(content: Any, finish_reason: str | None = "stop", tokens: Any = 3, **message: Any) -> Response:
    """A chat completion, as the interface's schema has it."""
    choice = {
        "index": 0,
        "finish_reason": finish_reason,
        "message": {"role": "assistant", "content": content, **message},
    }
    usage = {"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": 4}
    return as_json(
        {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
    )


def as_json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, SOON, "application/json")


def fails(status: int, message: str = "no") -> Answer:
    return lambda body: as_json({"error": {"message": message}}, status)


@pytest.fixture(scope="module")
def no_proxies() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    """Weights far from uniform, in float64, so that no two tokens are nearly alike."""
    torch.manual_seed(0)
    found = local.load(write_tiny(tmp_path_factory.mktemp("model"), [str(each) for each in ASKED], TINY))
    for weights in found.model.parameters():
        torch.nn.init.normal_(weights, std=0.4)
    return LocalModel(found.model.double(), found.tokenizer)


@pytest.fixture(scope="module")
def running(model: LocalModel) -> Iterator[Served]:
    served = Served(model)
    app = FastAPI()

    @app.get("/v1/models")
    def models(request: Request) -> Response:
        served.headers.append(dict(request.headers))
        listed = [{"id": name, "object": "model", "created": 0, "owned_by": "me"} for name in served.names]
        return served.listing({}) or as_json({"object": "list", "data": listed})

    @app.post("/v1/chat/completions")
    def chat(body: dict[str, Any], request: Request) -> Response:
        served.headers.append(dict(request.headers))
        return served.reply(body)

    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    served.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
    yield served
    server.should_exit = True
    thread.join()


@pytest.fixture
def served(running: Served) -> Served:
    """The running server, with nothing scripted."""
    running.asked, running.headers, running.answers, running.at_once = [], [], [], 0
    running.names, running.listing = ("digest-candidate",), lambda body: None
    return running


# What it says


def test_greedy_replies_are_those_of_the_model_here_in_the_order_asked(served: Served, model: LocalModel) -> None:
    here = model.replies(ASKED, Decoding(24, 1))
    assert served.connected().replies(ASKED, GREEDY) == here
    assert {each.finish for each in here} <= {"stop", "length"}
    assert len({each.text for each in here}) > 1
    assert {body["temperature"] for body in served.asked} == {0.0}
    assert not any("seed" in body for body in served.asked)


def test_no_more_requests_than_stated_are_under_way(served: Served) -> None:
    def slow(body: dict[str, Any]) -> Response:
        time.sleep(0.05)
        return said("x")

    served.answers = [slow] * 12
    served.connected(concurrency=3).replies(ASKED[:1] * 12, GREEDY)
    assert 1 < served.at_once <= 3


def test_progress_counts_to_the_end(served: Served) -> None:
    seen: list[tuple[int, int]] = []
    served.connected().replies(ASKED, GREEDY, lambda done, total: seen.append((done, total)))
    assert seen == [(done, len(ASKED)) for done in range(1, len(ASKED) + 1)]
    assert served.connected().replies([], GREEDY) == []


def test_equal_conversations_are_sampled_apart_and_the_same_seed_samples_the_same(served: Served) -> None:
    server = served.connected()

    def sampled(seed: int) -> list[Reply]:
        return server.replies(ASKED[:1] * 6, Decoding(12, 4, temperature=1.0, seed=seed))

    first = sampled(7)
    assert len({each.text for each in first}) > 1
    assert len({body["seed"] for body in served.asked}) == 6
    assert first == sampled(7) != sampled(8)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": None}, ""),
        ({"content": "B", "reasoning_content": "so"}, "<think>so</think>B"),
        ({"content": "B", "reasoning": "so"}, "<think>so</think>B"),
        ({"content": None, "reasoning_content": "so"}, "<think>so</think>"),
        ({"content": "<think>so</think>B", "reasoning_content": "so"}, "<think>so</think>B"),
        ({"content": "B", "reasoning_content": None}, "B"),
    ],
)
def test_reasoning_that_a_server_takes_out_is_put_back(served: Served, message: dict[str, Any], text: str) -> None:
    served.answers = [lambda body: said(**message)]
    assert served.connected().replies(ASKED[:1], GREEDY) == [Reply(text, 3, "stop")]


@pytest.mark.parametrize(("finish", "expected"), [("length", "length"), ("content_filter", "stop"), (None, "stop")])
def test_only_a_reply_cut_off_is_called_so(served: Served, finish: str | None, expected: str) -> None:
    served.answers = [lambda body: said("x", finish_reason=finish)]
    assert served.connected().replies(ASKED[:1], GREEDY)[0].finish == expected


def test_tokens_that_a_server_does_not_count_are_not_made_up(served: Served) -> None:
    served.answers = [lambda body: said("x", tokens=None)]
    assert served.connected().replies(ASKED[:1], GREEDY) == [Reply("x", None, "stop")]


def test_what_fails_for_a_moment_is_asked_again(served: Served, model: LocalModel) -> None:
    served.answers = [fails(429), fails(500), fails(503)]
    assert served.connected().replies(ASKED[:1], GREEDY) == model.replies(ASKED[:1], Decoding(24, 1))
    assert len(served.asked) == 4


# What stops


def test_a_model_that_is_not_served_stops_before_the_first_question(served: Served) -> None:
    served.names = ("llama", "\x1b[31m" + "qwen" * 400)
    with pytest.raises(Stop, match="does not serve digest-candidate") as stopped:
        served.connected()
    assert "It serves llama, " in str(stopped.value)
    assert "\x1b" not in str(stopped.value)
    assert len(str(stopped.value)) < 1000
    served.names = ()
    with pytest.raises(Stop, match="It serves nothing"):
        served.connected()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, f"answers 401. {KEY} is not accepted. Set {KEY}"),
        (403, f"answers 403. {KEY} is not accepted."),
        (404, "answers 404: .* ending in /v1"),
        (400, "answers 400: .* longer than it allows"),
        (429, f"answers 429: .* {RETRIES + 1} times. Lower evaluate.endpoint.concurrency"),
        (500, f"answers 500: .* {RETRIES + 1} times. Look at the server's own log"),
    ],
)
def test_a_refusal_that_stays_says_what_to_do_and_never_the_key(served: Served, status: int, words: str) -> None:
    server = served.connected()
    served.answers = [fails(status, f"\nkey {SECRET} " + "long " * 400)] * 50
    with pytest.raises(Stop, match=words) as stopped:
        server.replies(ASKED[:1], GREEDY)
    assert SECRET not in str(stopped.value)
    assert "\n" not in str(stopped.value)
    assert len(str(stopped.value)) < 1000
    assert stopped.value.__cause__ is None
    assert stopped.value.__suppress_context__


def test_the_first_failure_spares_the_questions_behind_it(served: Served) -> None:
    server = served.connected(concurrency=1)
    served.answers = [fails(400)]
    with pytest.raises(Stop):
        server.replies(ASKED * 10, GREEDY)
    assert len(served.asked) < 10


def test_a_body_that_comes_too_late_stops(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "RETRIES", 0)
    server = served.connected(timeout=1)

    def late(body: dict[str, Any]) -> Response:
        time.sleep(1.5)
        return said("x")

    served.answers = [late]
    with pytest.raises(Stop, match=r"within 1 seconds, 1 times\. Raise evaluate\.endpoint\.timeout"):
        server.replies(ASKED[:1], GREEDY)


@pytest.mark.parametrize(
    "body",
    [
        Response("<html>a page</html>", 200, SOON, "text/html"),
        Response("not {json", 200, SOON, "application/json"),
        as_json([]),
        as_json({"error": {"message": "quota"}}),
        as_json({"choices": []}),
        as_json({"choices": [{}]}),
        as_json({"choices": "many"}),
        said([{"type": "text", "text": "parts"}]),
    ],
)
def test_what_is_no_chat_completion_stops(served: Served, body: Response) -> None:
    server = served.connected()
    served.answers = [lambda _: body]
    with pytest.raises(Stop, match="answers what no OpenAI-compatible server says"):
        server.replies(ASKED[:1], GREEDY)


@pytest.mark.parametrize(
    "body", [Response("<html>", 200, SOON, "text/html"), as_json({}), as_json({"data": [{"id": 3}]}), as_json([1])]
)
def test_what_is_no_list_of_models_stops(served: Served, body: Response) -> None:
    served.listing = lambda _: body
    with pytest.raises(Stop, match="no OpenAI-compatible server"):
        served.connected()


def test_a_server_that_is_not_there_stops(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "RETRIES", 0)
    url = "http://127.0.0.1:9/v1?token=hidden"
    with pytest.raises(
        Stop, match=r"http://127\.0\.0\.1:9/v1 cannot be reached: .*refused.* Start the server"
    ) as stopped:
        served.connected(url=url)
    assert "hidden" not in str(stopped.value)


def test_an_address_that_is_none_stops(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "RETRIES", 0)
    for url in ("vllm:8000/v1", "localhost", "ftp://127.0.0.1/v1", "http://"):
        with pytest.raises(Stop, match=r"evaluate\.endpoint\.url"):
            served.connected(url=url)


# The key


def test_the_key_comes_from_the_environment_and_travels_in_the_header(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, f" {SECRET}\n")
    monkeypatch.setenv("OPENAI_API_KEY", "another")
    monkeypatch.setenv("OPENAI_ORG_ID", "an account elsewhere")
    served.connected(key=endpoint.key())
    assert served.headers[-1]["authorization"] == f"Bearer {SECRET}"
    assert "openai-organization" not in served.headers[-1]


def test_without_a_key_a_placeholder_is_sent_and_a_refusal_says_that_none_is_set(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY, raising=False)
    assert endpoint.key() == NO_KEY
    served.listing = fails(401)
    with pytest.raises(Stop, match=f"{KEY} is not set"):
        served.connected(key=endpoint.key())


@pytest.mark.parametrize("value", ["two words", "line\nbreak", "ключ"])
def test_a_key_no_header_carries_stops_without_being_told(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(KEY, value)
    with pytest.raises(Stop, match=KEY) as stopped:
        endpoint.key()
    assert value not in str(stopped.value)
