"""How a run's end is recorded and told: read off its tree, whatever others wrote into it, whoever does not answer."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from answering import Answer, Answering, Request, answering
from asked import PARAMS
from mail_server import Authority, mail_server
from medu1 import journal, stage, webhook
from medu1.errors import Interrupted, Stop
from medu1.notification import Email, Notify
from medu1.params import Params, overridden
from medu1.run import mail, notice, telling
from medu1.run.finalize import finalize
from medu1.run.outcome import Outcome
from medu1.tracking import FROZEN, JUDGED, Tracking
from medu1.workspace import Workspace
from mlflow_server import free_port
from pipelines.request import read_params

SECRET = "s3cr3t"
HOSTILE = "<!channel> & <http://evil|click> @here `code` ```\n*second* line \x1b[31m" + "x" * 5000

Begin = Callable[[str], Tracking]


def notify(*settings: str) -> str:
    return read_params(PARAMS, settings).notify.canonical()


ALL = "notify.events=[succeeded, registered, refused, failed, cancelled]"


@pytest.fixture
def tracking(tracked_home: Path, monkeypatch: pytest.MonkeyPatch) -> Tracking:
    """A run, in the environment; nobody is to be told yet."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", telling.URL, mail.USER, mail.PASSWORD):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(webhook, "PAUSE", 0.0)
    here = Workspace(home=tracked_home, run="one", tracking_uri=f"sqlite:///{tracked_home / 'mlflow.db'}")
    for name, value in here.environment().items():
        monkeypatch.setenv(name, value)
    return Tracking(here)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    """Who is told, at an address with secrets before and after the host."""
    with answering(lambda request: Answer(204)) as server:
        monkeypatch.setenv(telling.URL, f"http://user:{SECRET}@{server.host}/{SECRET}?token={SECRET}")
        yield server


def told(server: Answering) -> list[Any]:
    return [json.loads(request.body) for request in server.asked]


def parent(tracking: Tracking) -> dict[str, str]:
    (run,) = [run for run in tracking.tree() if "medu1.step" not in run.data.tags]
    tags: dict[str, str] = run.data.tags
    return tags


def notes(tracking: Tracking) -> list[str]:
    return [event.message for event, _ in journal.read(tracking.workspace.journal) if event.kind == "note"]


def failed(tracking: Tracking, step: str, error: BaseException) -> None:
    """A step that ran and raised, as steps do."""
    with pytest.raises(type(error)), stage.tracked(step):
        raise error


def registered(tracking: Tracking) -> None:
    """A run that came to a version."""
    for step, tags in (
        ("decide", {"medu1.decision": "passed", JUDGED: "w e", FROZEN: "f"}),
        ("register", {"medu1.version": "3", "medu1.model": "medu1"}),
    ):
        run = tracking.child(step)
        tracking.tags(run, tags)
        tracking.close(run, "FINISHED")


# The outcome


def test_a_registered_version_is_recorded_with_the_time_it_took(tracking: Tracking) -> None:
    registered(tracking)
    finalize(notify(), "SUCCEEDED", "")
    tags = parent(tracking)
    assert (tags["medu1.outcome"], tags["medu1.registered"]) == ("succeeded", "medu1 3")
    assert int(tags["medu1.seconds"]) >= 0
    assert "medu1.error" not in tags


@pytest.mark.parametrize("state", ["SUCCEEDED", "FAILED"])  # the command register fails where the chain succeeds
def test_a_candidate_that_did_not_pass_is_refused(tracking: Tracking, state: str) -> None:
    run = tracking.child("decide")
    tracking.tags(run, {"medu1.decision": "not passed", JUDGED: "w e", FROZEN: "f"})
    tracking.close(run, "FINISHED")
    finalize(notify(), state, "")
    assert parent(tracking)["medu1.outcome"] == "refused"


def test_the_champion_met_again_is_no_refusal(tracking: Tracking) -> None:
    run = tracking.child("decide")
    tracking.tags(run, {"medu1.decision": "not passed"})
    tracking.close(run, "FINISHED")
    finalize(notify(), "SUCCEEDED", "")
    assert parent(tracking)["medu1.outcome"] == "succeeded"


def test_a_failure_names_its_step_and_the_first_line_of_its_error(tracking: Tracking) -> None:
    tracking.close(tracking.child("prepare"), "FINISHED")
    failed(tracking, "train", Stop("The disk is full.", "It has 1 GiB.", "Free some."))
    finalize(notify(), "FAILED", "task train failed: exit code 1")
    tags = parent(tracking)
    assert tags["medu1.outcome"] == "failed"
    assert tags["medu1.failed_step"] == "train"
    assert tags["medu1.error"] == "The disk is full. It has 1 GiB. Free some."


def test_a_step_that_went_well_the_second_time_did_not_fail(tracking: Tracking) -> None:
    failed(tracking, "train", ValueError("a node is lost"))
    tracking.close(tracking.child("train"), "FINISHED")
    failed(tracking, "evaluate", ValueError("no room"))
    finalize(notify(), "FAILED", "")
    tags = parent(tracking)
    assert tags["medu1.failed_step"] == "evaluate"
    assert tags["medu1.error"].startswith("ValueError: no room (at ")


def test_a_killed_step_is_the_one_that_failed(tracking: Tracking) -> None:
    tracking.child("train")
    finalize(notify(), "FAILED", "")
    tags = parent(tracking)
    assert tags["medu1.failed_step"] == "train"
    assert "may have run out of memory" in tags["medu1.error"]


def test_what_kfp_says_is_used_where_no_step_said_anything(tracking: Tracking) -> None:
    tracking.child("train")
    finalize(notify(), "FAILED", f"\n\n  {HOSTILE}")
    error = parent(tracking)["medu1.error"]
    assert error.startswith("<!channel> & <http://evil|click> @here `code` ```")
    assert "second" not in error
    assert len(error) <= 400


def test_a_run_that_is_stopped_is_cancelled(tracking: Tracking) -> None:
    failed(tracking, "train", Interrupted("step 4 is saved"))
    finalize(notify(), "CANCELLED", "")
    tags = parent(tracking)
    assert (tags["medu1.outcome"], tags["medu1.failed_step"]) == ("cancelled", "train")
    assert "step 4 is saved" in tags["medu1.error"]


def test_nothing_is_deleted(tracking: Tracking) -> None:
    home = tracking.workspace.home
    for name in ("checkpoints/abc/step-00000010/model.safetensors", "checkpoints/abc/.saving/x", "train/1/record.json"):
        (home / "store" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "store" / name).write_text(name)
    tracking.child("train")
    for state in ("FAILED", "CANCELLED", "SUCCEEDED"):
        before = contents(home / "store")
        finalize(notify(), state, "")
        assert contents(home / "store") == before


def contents(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# Who is told


def test_nobody_is_told_unless_the_parameters_say_so(tracking: Tracking, receiver: Answering) -> None:
    tracking.child("train")
    finalize(notify(), "FAILED", "")
    finalize(notify("notify.events=[succeeded, cancelled]"), "FAILED", "")
    assert receiver.asked == []
    assert notes(tracking) == []


def test_a_machine_is_told_all_of_it_as_json(tracking: Tracking, receiver: Answering) -> None:
    failed(tracking, "train", Stop("The disk is full."))
    finalize(notify(ALL, "notify.ui=https://mlflow.example.org/"), "FAILED", "")
    (message,) = told(receiver)
    run = next(run for run in tracking.tree() if "medu1.step" not in run.data.tags)
    assert message.pop("seconds") >= 0
    assert message == {
        "run": "one",
        "ending": "failed",
        "events": ["failed"],
        "step": "train",
        "error": "The disk is full.",
        "model": "",
        "version": "",
        "link": f"https://mlflow.example.org/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}",
        "key": receiver.asked[0].headers["idempotency-key"],
    }
    assert receiver.asked[0].headers["content-type"] == "application/json"


def test_who_asks_for_registered_versions_hears_of_these_alone(tracking: Tracking, receiver: Answering) -> None:
    finalize(notify("notify.events=[registered]"), "SUCCEEDED", "")
    assert receiver.asked == []
    registered(tracking)
    finalize(notify("notify.events=[registered]"), "SUCCEEDED", "")
    (message,) = told(receiver)
    assert (message["events"], message["version"]) == (["registered", "succeeded"], "3")


def test_the_same_end_is_told_once(tracking: Tracking, receiver: Answering) -> None:
    tracking.child("train")
    receiver.says = lambda request: Answer(404)
    finalize(notify(ALL), "CANCELLED", "")
    receiver.says = lambda request: Answer(200)
    finalize(notify(ALL), "CANCELLED", "")
    finalize(notify(ALL), "CANCELLED", "")
    assert len(receiver.asked) == 2
    assert len({request.headers["idempotency-key"] for request in receiver.asked}) == 1
    finalize(notify(ALL), "FAILED", "")
    assert len({request.headers["idempotency-key"] for request in receiver.asked}) == 2


def test_a_run_whose_tracking_server_is_away_is_told_of_and_still_fails(
    tracking: Tracking, receiver: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed(tracking, "train", Stop("The disk is full."))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Stop, match="does not answer"):
        finalize(notify(ALL), "FAILED", "")
    (message,) = told(receiver)
    assert (message["ending"], message["step"], message["error"]) == ("failed", "train", "The disk is full.")


@pytest.mark.parametrize(
    "settings", ['{"events": ["failed"], "onn": 1}', "[]", "no json", '{"events": ["exploded"]}', "{}"]
)
def test_a_wrong_section_tells_nobody_and_closes_the_run(
    tracking: Tracking, receiver: Answering, settings: str
) -> None:
    tracking.child("train")
    finalize(settings, "FAILED", "")
    assert {run.info.status for run in tracking.tree()} == {"FAILED"}
    assert parent(tracking)["medu1.outcome"] == "failed"
    assert notes(tracking)[0].startswith("warning: nobody is told: notify")
    assert receiver.asked == []


def test_events_without_an_address_are_a_warning(tracking: Tracking) -> None:
    tracking.child("train")
    finalize(notify(ALL), "FAILED", "")
    assert notes(tracking) == [
        "warning: webhook: nobody is told: MEDU1_NOTIFY_URL is not set, and notify.email.host is empty."
    ]


# Who does not take it


@pytest.mark.parametrize(
    ("answer", "times", "said"),
    [
        (Answer(500), 1 + webhook.RETRIES, "answers 500"),
        (Answer(503, headers={"Retry-After": "3600"}), 1 + webhook.RETRIES, "answers 503"),
        (Answer(404), 1, "answers 404"),
        (Answer(302, headers={"Location": "/elsewhere"}), 1, "answers 302"),
    ],
)
def test_a_receiver_that_refuses_changes_nothing_else(
    tracking: Tracking, receiver: Answering, answer: Answer, times: int, said: str
) -> None:
    tracking.child("train")
    receiver.says = lambda request: answer
    finalize(notify(ALL), "SUCCEEDED", "")
    assert [request.method for request in receiver.asked] == ["POST"] * times
    assert {run.info.status for run in tracking.tree()} == {"FINISHED"}
    tags = parent(tracking)
    assert tags["medu1.outcome"] == "succeeded"
    assert tags["medu1.notified.webhook"] == f"not told: {receiver.host} {said}."
    assert notes(tracking) == [f"warning: webhook: not told: {receiver.host} {said}."]
    assert SECRET not in json.dumps(tags) + "".join(notes(tracking))


def late(receiver: Answering) -> threading.Event:
    """Answers nobody until the event is set."""
    done = threading.Event()

    def says(request: Request) -> Answer:
        done.wait(30)
        return Answer(200)

    receiver.says = says
    return done


def test_a_receiver_that_is_down_or_slow_changes_nothing_else(
    tracking: Tracking, receiver: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracking.child("train")
    monkeypatch.setattr(webhook, "ANSWER_SECONDS", 0.2)
    done = late(receiver)
    finalize(notify(ALL), "FAILED", "")
    done.set()
    monkeypatch.setenv(telling.URL, f"http://127.0.0.1:{free_port()}/{SECRET}")
    finalize(notify(ALL), "FAILED", "")
    assert ["cannot be reached" in note for note in notes(tracking)] == [True, True]
    assert SECRET not in "".join(notes(tracking))


def test_a_receiver_that_never_ends_its_answer_is_left_to_it(
    tracking: Tracking, receiver: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "LIMIT_SECONDS", 0.3)
    done = late(receiver)
    tracking.child("train")
    finalize(notify(ALL), "FAILED", "")
    done.set()
    assert notes(tracking) == ["warning: webhook: it did not end within 0.3 s."]


@pytest.mark.parametrize("url", ["ftp://host/x", "not a url", "http://[", "http://"])
def test_an_address_that_is_none_is_a_warning(tracking: Tracking, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv(telling.URL, url)
    tracking.child("train")
    finalize(notify(ALL), "FAILED", "")
    assert notes(tracking)[0].startswith("warning: webhook: not told: ")


# Slack


def outcome(**changes: Any) -> Outcome:
    return Outcome.model_validate({"run": "one", "ending": "failed", **changes})


def test_a_hostile_error_can_neither_mention_nor_link_nor_leave_its_block(
    tracking: Tracking, receiver: Answering
) -> None:
    tracking.child("train")
    finalize(notify(ALL, "notify.format=slack"), "FAILED", HOSTILE)
    (message,) = told(receiver)
    head, error = (block["text"]["text"] for block in message["blocks"])
    inner = error.removeprefix("```").removesuffix("```")
    assert (len(error), error.startswith("```"), error.endswith("```")) == (len(inner) + 6, True, True)
    assert not {"<", ">", "`", "\n", "\x1b"} & set(inner)
    assert "@here" not in inner
    assert inner.startswith("&lt;!channel&gt; &amp; &lt;http://evil|click&gt; @\u200bhere 'code' '''")
    assert len(inner) < 3000
    assert (message["parse"], message["link_names"]) == ("none", False)
    assert head == ":x: medu1 run one failed in train after 0 s"


def test_slack_gets_a_head_for_the_notification_and_a_link(tracking: Tracking) -> None:
    link = "https://mlflow.example.org/#/experiments/1/runs/a&b"
    message = json.loads(
        notice.as_slack(outcome(ending="succeeded", model="medu1", version="3", seconds=7200, link=link))
    )
    assert message["text"] == "medu1 run one succeeded after 2.0 h: version 3 of medu1 is registered"
    assert message["blocks"][-1]["text"]["text"] == f"<{link.replace('&', '&amp;')}|The run in MLflow>"
    assert all(len(block["text"]["text"]) <= 3000 for block in message["blocks"])


def test_a_refusal_says_what_did_not_pass() -> None:
    said = notice.headline(outcome(ending="refused", seconds=240))
    assert said == "medu1 run one ended after 4 min: the candidate did not pass its decision"


@pytest.mark.parametrize(
    ("seconds", "said"), [(None, "failed"), (59.6, "after 60 s"), (600, "after 10 min"), (9000, "after 2.5 h")]
)
def test_a_duration_reads_as_people_say_it(seconds: float | None, said: str) -> None:
    assert notice.headline(outcome(seconds=seconds)).endswith(said)


# Mail


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"))


def by_mail(port: int, security: str) -> str:
    return notify(
        *(ALL, "notify.email.host=127.0.0.1", f"notify.email.port={port}", f"notify.email.security={security}"),
        *("notify.email.sender=medu1@example.org", "notify.email.recipients=[ann@example.org, bob@example.org]"),
    )


def test_a_mail_says_it_to_all_behind_a_password_and_encrypted(
    tracking: Tracking, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    monkeypatch.setenv(mail.USER, "medu1")
    monkeypatch.setenv(mail.PASSWORD, "right")
    failed(tracking, "train", Stop("The disk is full.\nSubject: other\nBcc: eve@example.org"))
    with mail_server(authority) as server:
        finalize(by_mail(server.port, "starttls"), "FAILED", "")
    (sent,) = server.mails
    assert (server.logins, server.encrypted) == ([("medu1", "right")], [True])
    assert server.recipients == ["ann@example.org", "bob@example.org"]
    assert sent["Subject"].startswith("medu1 run one failed in train after ")
    assert (sent["From"], sent["Bcc"], sent["Auto-Submitted"]) == ("medu1@example.org", None, "auto-generated")
    assert "The disk is full." in sent.get_content()
    assert notes(tracking)[-1] == "mail: 2 recipients are told: failed."


@pytest.mark.parametrize(
    ("user", "password", "security", "said"),
    [
        ("medu1", "wrong", "starttls", "does not take it (SMTPAuthenticationError 535)"),
        ("medu1", "right", "none", "which would show the password"),
        ("", "", "tls", "does not take it (SSLError)"),
    ],
)
def test_a_mail_server_that_refuses_is_a_warning_without_the_password(
    tracking: Tracking,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    user: str,
    password: str,
    security: str,
    said: str,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    monkeypatch.setenv(mail.USER, user)
    monkeypatch.setenv(mail.PASSWORD, password)
    tracking.child("train")
    with mail_server(authority) as server:
        finalize(by_mail(server.port, security), "FAILED", "")
    assert server.mails == []
    (note,) = notes(tracking)
    assert note.startswith("warning: mail: not told: ")
    assert said in note
    assert not password or password not in note
    assert parent(tracking)["medu1.outcome"] == "failed"


def test_a_certificate_nobody_vouches_for_gets_no_password(
    tracking: Tracking, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(mail.USER, "medu1")
    monkeypatch.setenv(mail.PASSWORD, "right")
    tracking.child("train")
    with mail_server(authority) as server:
        finalize(by_mail(server.port, "starttls"), "FAILED", "")
    assert server.logins == []
    assert "SSLCertVerificationError" in notes(tracking)[0]


def test_a_recipient_that_is_not_taken_is_counted(tracking: Tracking) -> None:
    tracking.child("train")
    with mail_server() as server:
        server.refuse.add("bob")
        finalize(by_mail(server.port, "none"), "FAILED", "")
    assert "does not take it for 1 recipients" in notes(tracking)[0]
    assert len(server.mails) == 1


def test_both_ways_are_tried_each_by_itself(tracking: Tracking, receiver: Answering) -> None:
    receiver.says = lambda request: Answer(404)
    tracking.child("train")
    with mail_server() as server:
        finalize(by_mail(server.port, "none"), "FAILED", "")
        assert len(server.mails) == 1
        receiver.says = lambda request: Answer(200)
        finalize(by_mail(server.port, "none"), "FAILED", "")
    assert (len(server.mails), len(receiver.asked)) == (1, 2)


# The parameters


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"notify.event": ["failed"]}, "notify.event is not a parameter; the nearest is notify.events"),
        ({"notify.events": ["exploded"]}, "notify.events.0 = 'exploded'"),
        ({"notify.format": "xml"}, "notify.format = 'xml'"),
        ({"notify.ui": "https://ann:secret@host"}, "notify.ui = "),
        ({"notify.ui": "javascript:alert(1)"}, "notify.ui = "),
        ({"notify.email.host": "mail.example.org"}, "a host needs a sender and recipients"),
        ({"notify.email.sender": "a@b\nBcc: c@d"}, "notify.email.sender"),
        ({"notify.email.port": 0}, "notify.email.port = 0"),
        ({"notify.email.security": "ssl"}, "notify.email.security = 'ssl'"),
    ],
)
def test_a_wrong_parameter_is_named(settings: dict[str, Any], said: str) -> None:
    import yaml

    given = yaml.safe_load(PARAMS.read_text("utf-8"))
    with pytest.raises(Stop) as refused:
        Params.read(overridden(given, settings))
    assert said in str(refused.value)


def test_an_address_or_a_password_is_no_parameter() -> None:
    assert {"events", "format", "ui", "email"} == set(Notify.model_fields)
    assert {"host", "port", "security", "sender", "recipients"} == set(Email.model_fields)
