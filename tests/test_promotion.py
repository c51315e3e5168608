"""One champion and a whole audit trail, whatever dies, fails or comes at the same time.

The registries are real: a database file, and an MLflow server behind a gate that refuses a request, loses its answer or
kills who asks. The log decides, so the first tests are of `fold`, which reads it.
"""

import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import BAD_REQUEST, MlflowException
from typer.testing import CliRunner

from medu1 import record
from medu1.errors import Stop
from medu1.promotions import Entry, State, fold, log_of
from medu1.record import StepRecord
from medu1.register import files, trail
from medu1.register.promotion import promote, rollback
from medu1.register.versions import versions
from medu1.registered_models import PASSES
from medu1.tracking import Tracking
from medu1.workspace import Workspace
from mlflow_server import Server
from pipelines import cli
from s3 import S3

WHY = "better on 600 questions"
NAME = "medu1"


# Reading the log


def entry(number: int, target: str, replaces: str, request: str = "") -> Entry:
    return Entry(
        kind="promote",
        target=target,
        weights=f"w{target}",
        replaces=replaces,
        since=0,
        asked=target,
        who="ann",
        when="2026-01-01T00:00:00+00:00",
        why=WHY,
        evidence="e",
        request=request or f"r{number}",
        number=number,
    )


VERSIONS = ("1", "2", "3")
ROWS = st.tuples(st.sampled_from(VERSIONS), st.sampled_from(("", *VERSIONS)), st.integers(0, 9))


@st.composite
def logs(draw: st.DrawFn) -> list[Entry]:
    """Logs of any kind: most entries come too late, some repeat a request."""
    rows = draw(st.lists(ROWS, max_size=30))
    return [entry(number, *row[:2], request=f"r{row[2]}" if row[2] < 4 else "") for number, row in enumerate(rows, 1)]


@given(logs())
def test_the_champion_is_the_target_of_the_last_entry_that_is_not_void(log: list[Entry]) -> None:
    state = fold(log)
    valid = [each for each in log if each.number not in state.void]
    targets = ["", "", *(each.target for each in valid)]
    assert (state.previous, state.champion) == tuple(targets[-2:])
    assert state.last == (valid[-1] if valid else None)


@given(logs())
def test_every_entry_that_is_not_void_was_decided_against_the_champion_at_its_place(log: list[Entry]) -> None:
    void = fold(log).void
    for place, each in enumerate(log):
        before = fold(log[:place])
        is_new = each.request not in {other.request for other in log[:place]}
        holds = is_new and each.replaces == before.champion and each.target != before.champion
        assert holds == (each.number not in void)


@given(logs(), st.integers(0, 30))
def test_what_comes_later_changes_no_verdict_on_what_came_before(log: list[Entry], place: int) -> None:
    early, late = fold(log[:place]).void, fold(log).void
    assert early == {number: why for number, why in late.items() if number <= place}


@given(logs())
def test_the_champion_before_is_another_version(log: list[Entry]) -> None:
    state = fold(log)
    assert state.previous != state.champion or not state.champion


@given(logs(), st.integers(0, 29))
def test_a_repeated_entry_changes_nothing(log: list[Entry], place: int) -> None:
    if place >= len(log):
        return
    state = fold([*log, log[place].model_copy(update={"number": len(log) + 1})])
    assert state[:3] == fold(log)[:3]
    assert len(log) + 1 in state.void


@given(st.permutations(["2", "3", "4", "5"]))
def test_of_several_decided_against_one_champion_the_first_wins(targets: list[str]) -> None:
    log = [entry(1, "1", ""), *(entry(number, target, "1") for number, target in enumerate(targets, 2))]
    state = fold(log)
    assert (state.champion, state.previous, sorted(state.void)) == (targets[0], "1", [3, 4, 5])
    assert state.void[3] == f"version {targets[0]} was the champion by then, not version 1"


def test_an_empty_log_has_no_champion() -> None:
    assert fold([]) == State("", "", None, {})


# A registry


def described(folder: Path, weights: str) -> Path:
    """A model's folder with its record."""
    folder.mkdir(parents=True)
    (folder / "sub").mkdir()
    (folder / "model.safetensors").write_text(weights, encoding="utf-8")
    (folder / "sub" / "config.json").write_text("{}", encoding="utf-8")
    empty: dict[str, Any] = {"params": {}, "inputs": {}, "facts": {}, "versions": {}}
    texts = dict.fromkeys(("fingerprint", "code", "commit", "image", "run", "mlflow_run", "started"), "")
    made = StepRecord(
        step="train", outputs=record.entries(folder), dirty=False, seconds=0, **texts, **empty
    )  # a step's record, as far as its files are concerned
    record.write(made, folder)
    return folder


class Place(NamedTuple):
    """Where a version's files are, as the registry is told."""

    source: str
    key: str
    run: str | None
    digest: str


def local(folder: Path) -> Place:
    found = record.read(folder)
    assert found
    return Place(folder.as_uri(), f"train/{folder.name}", None, files.digest(found.outputs))


def add(tracking: Tracking, name: str, place: Place, weights: str, champion: str | None) -> str:
    """A version as `register` makes it, judged against a champion of these weights; None: nobody knows which."""
    tags = {"medu1.weights": weights, "medu1.evaluation": f"e-{weights}", "medu1.key": place.key}
    tags |= {"medu1.files": place.digest} | ({} if champion is None else {"medu1.champion": champion})
    trail.ensure(tracking, name, "")
    return str(tracking.client.create_model_version(name, place.source, place.run, tags).version)


def crown(tracking: Tracking, name: str, version: str) -> None:
    """The first version's promotion, as `register` has it."""
    found = tracking.models.version(name, version)
    assert found
    trail.enter(tracking, name, trail.FIRST, version, found.tags, replaces="")


def moves(tracking: Tracking, name: str = NAME) -> list[tuple[str, str]]:
    return [(each.kind, each.target) for each in tracking.models.promotions(name)]


def assert_settled(tracking: Tracking, name: str = NAME) -> State:
    """The aliases are what the log says, and each names one version that is there."""
    state = fold(tracking.models.promotions(name))
    aliases = tracking.models.aliases(name)
    assert aliases.get("champion", "") == state.champion
    assert aliases.get("previous", "") == state.previous
    assert aliases.get("challenger") != state.champion or not state.champion
    return state


@pytest.fixture
def tracking(tracked_home: Path, monkeypatch: pytest.MonkeyPatch) -> Tracking:
    """A database file."""
    for variable in ("MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI", "MEDU1_STORE"):
        monkeypatch.delenv(variable, raising=False)
    return Tracking(Workspace(home=tracked_home, run="one", tracking_uri=f"sqlite:///{tracked_home / 'mlflow.db'}"))


@pytest.fixture
def three(tracking: Tracking) -> Tracking:
    """Version 1 is champion; 2, which challenges, and 3 were judged against it."""
    folder = tracking.workspace.home / "models"
    for weights, champion in (("w1", ""), ("w2", "w1"), ("w3", "w1")):
        add(tracking, NAME, local(described(folder / weights, weights)), weights, champion)
    crown(tracking, NAME, "1")
    tracking.client.set_registered_model_alias(NAME, "challenger", "2")
    return tracking


def model(tracking: Tracking, weights: str) -> Path:
    return tracking.workspace.home / "models" / weights


@contextmanager
def unchanged(tracking: Tracking) -> Iterator[None]:
    """Nothing in the database is another afterwards."""
    before = dump(tracking)
    yield
    assert dump(tracking) == before


def dump(tracking: Tracking) -> list[str]:
    with sqlite3.connect(tracking.workspace.home / "mlflow.db") as database:
        return list(database.iterdump())


def test_a_promotion_moves_champion_and_previous_and_ends_the_challenge(three: Tracking) -> None:
    done = promote(three, NAME, "challenger", "ann", WHY)
    assert (done.version, done.replaced, done.entry, done.already) == ("2", "1", 2, False)
    assert three.models.aliases(NAME) == {"champion": "2", "previous": "1"}
    assert_settled(three)


def test_promoting_another_version_leaves_the_challenger(three: Tracking) -> None:
    promote(three, NAME, "3", "ann", WHY)
    assert three.models.aliases(NAME) == {"champion": "3", "previous": "1", "challenger": "2"}


def test_the_history_tells_who_when_why_and_on_what_evidence(three: Tracking) -> None:
    promote(three, NAME, "2", "ann", f"  {WHY}\nthan before ")
    told = trail.history(three, NAME)[-1]
    assert told.void is None
    assert told.entry.model_dump(exclude={"when", "request"}) == {
        "number": 2,
        "kind": "promote",
        "target": "2",
        "weights": "w2",
        "replaces": "1",
        "since": 1,
        "asked": "2",
        "who": "ann",
        "why": f"{WHY} than before",
        "evidence": "e-w2",
    }
    assert told.entry.when.endswith("+00:00")


@pytest.mark.parametrize("asked", ["2", "champion"])
def test_promoting_the_champion_adds_nothing(three: Tracking, asked: str) -> None:
    promote(three, NAME, "2", "ann", WHY)
    with unchanged(three):
        assert promote(three, NAME, asked, "bob", "for another reason").already
    assert moves(three) == [("promote", "1"), ("promote", "2")]


def test_a_repeated_promotion_of_an_alias_that_is_gone_is_done_already(three: Tracking) -> None:
    promote(three, NAME, "challenger", "ann", WHY)
    with unchanged(three):
        assert promote(three, NAME, "challenger", "ann", WHY).already
        with pytest.raises(Stop, match="no alias challenger"):
            promote(three, NAME, "challenger", "bob", WHY)


def test_a_rollback_brings_the_champion_before_back_and_keeps_the_other(three: Tracking) -> None:
    promote(three, NAME, "2", "ann", WHY)
    done = rollback(three, NAME, "bob", "it is slow")
    assert (done.version, done.replaced, done.already) == ("1", "2", False)
    assert three.models.aliases(NAME) == {"champion": "1", "previous": "2"}
    assert moves(three) == [("promote", "1"), ("promote", "2"), ("rollback", "1")]


def test_the_same_reason_twice_is_one_rollback_and_another_one_goes_forth_again(three: Tracking) -> None:
    promote(three, NAME, "2", "ann", WHY)
    rollback(three, NAME, "bob", "it is slow")
    with unchanged(three):
        assert rollback(three, NAME, "bob", "it is slow").already
    assert rollback(three, NAME, "bob", "it was the network").version == "2"
    assert_settled(three)


def test_after_a_rollback_the_same_evidence_holds_again(three: Tracking) -> None:
    promote(three, NAME, "2", "ann", WHY)
    rollback(three, NAME, "bob", "by mistake")
    assert promote(three, NAME, "2", "ann", WHY).version == "2"
    assert [told.void for told in trail.history(three, NAME)] == [None] * 4


# Refusals


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("9", r"medu1 has no version 9\. It has version 1 \(champion\), 2 \(challenger\), 3\."),
        ("-1", "no alias -1"),
        ("chalenger", "no alias chalenger; did you mean challenger"),
        ("previous", "no alias previous"),
        ("' or 1=1", "no alias"),
        ("", "no alias"),
    ],
)
def test_an_unknown_version_or_alias_is_refused(three: Tracking, asked: str, said: str) -> None:
    with unchanged(three), pytest.raises(Stop, match=said):
        promote(three, NAME, asked, "ann", WHY)


@pytest.mark.parametrize("why", ["", " \n", "a\x1b[2Jb", "x" * 5000, "\udc80"])
def test_a_reason_that_says_nothing_or_hides_something_is_refused(three: Tracking, why: str) -> None:
    for act in (lambda: promote(three, NAME, "2", "ann", why), lambda: rollback(three, NAME, "ann", why)):
        with unchanged(three), pytest.raises(Stop, match="The reason is"):
            act()


def test_an_empty_registry_has_nothing_to_promote_and_nothing_to_list(tracking: Tracking) -> None:
    with unchanged(tracking):
        with pytest.raises(Stop, match=r"no version of medu1\. It is empty"):
            promote(tracking, NAME, "1", "ann", WHY)
        with pytest.raises(Stop, match="no champion to roll back from"):
            rollback(tracking, NAME, "ann", WHY)
        assert (versions(tracking), trail.history(tracking, NAME)) == ([], [])


def test_a_model_of_another_name_is_named(three: Tracking) -> None:
    with unchanged(three), pytest.raises(Stop, match=r"no version of medu; did you mean medu1\. It has medu1\."):
        promote(three, "medu", "1", "ann", WHY)


def test_the_first_champion_cannot_be_rolled_back(three: Tracking) -> None:
    with unchanged(three), pytest.raises(Stop, match="the first champion"):
        rollback(three, NAME, "ann", WHY)


def test_evidence_against_a_champion_that_was_replaced_is_refused(three: Tracking) -> None:
    promote(three, NAME, "2", "ann", WHY)
    with unchanged(three), pytest.raises(Stop, match="was judged against weights w1, and the champion is version 2"):
        promote(three, NAME, "3", "ann", WHY)


def test_evidence_against_the_base_is_none_against_a_champion(three: Tracking) -> None:
    promote(three, NAME, "2", "ann", WHY)
    with unchanged(three), pytest.raises(Stop, match="was judged against the base"):
        promote(three, NAME, "1", "ann", WHY)


@pytest.mark.parametrize("missing", ["medu1.champion", "medu1.evaluation"])
def test_no_evidence_is_refused(three: Tracking, missing: str) -> None:
    three.client.delete_model_version_tag(NAME, "2", missing)
    with unchanged(three), pytest.raises(Stop, match="carries no evidence"):
        promote(three, NAME, "2", "ann", WHY)


def changed_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_text("xx", encoding="utf-8")


def changed_weights_and_record(folder: Path) -> None:
    kept = record.read(folder)
    assert kept
    changed_weights(folder)
    record.write(kept.model_copy(update={"outputs": record.entries(folder)}), folder)


TAMPERED: list[tuple[Callable[[Path], object], str]] = [
    (changed_weights, r"not those that were registered \(changed: model\.safetensors\)"),
    (changed_weights_and_record, r"record\.json names others"),
    (lambda folder: (folder / "record.json").write_text("{", encoding="utf-8"), r"record\.json cannot be read"),
    (lambda folder: (folder / "record.json").unlink(), r"gone \(missing: record\.json\)"),
    (lambda folder: (folder / "sub" / "config.json").unlink(), r"gone \(missing: sub/config\.json\)"),
    (lambda folder: (folder / "modeling.py").write_text("1", encoding="utf-8"), r"added: modeling\.py"),
    (shutil.rmtree, "gone .there is no such folder"),
]


@pytest.mark.parametrize(("tamper", "said"), TAMPERED)
def test_files_that_are_not_those_registered_are_refused(
    three: Tracking, tamper: Callable[[Path], object], said: str
) -> None:
    promote(three, NAME, "2", "ann", WHY)
    add(three, NAME, local(described(model(three, "w4"), "w4")), "w4", "w2")
    for weights in ("w1", "w4"):
        tamper(model(three, weights))
    with unchanged(three):
        with pytest.raises(Stop, match=said):
            promote(three, NAME, "4", "ann", WHY)
        with pytest.raises(Stop, match=said):
            rollback(three, NAME, "ann", WHY)


def test_a_version_without_checksums_is_refused(three: Tracking) -> None:
    three.client.delete_model_version_tag(NAME, "2", "medu1.files")
    with unchanged(three), pytest.raises(Stop, match="does not say what its files hash to"):
        promote(three, NAME, "2", "ann", WHY)


def test_a_refused_promotion_begins_no_log_of_a_registry_that_has_none(tracking: Tracking) -> None:
    add(tracking, NAME, local(described(model(tracking, "w1"), "w1")), "w1", "")
    add(tracking, NAME, local(described(model(tracking, "w2"), "w2")), "w2", "w9")
    tracking.client.set_registered_model_alias(NAME, "champion", "1")
    with unchanged(tracking), pytest.raises(Stop, match="judged against weights w9"):
        promote(tracking, NAME, "2", "ann", WHY)


# What others did to the registry


def test_a_champion_from_before_the_log_is_its_first_entry(tracking: Tracking) -> None:
    add(tracking, NAME, local(described(model(tracking, "w1"), "w1")), "w1", "")
    add(tracking, NAME, local(described(model(tracking, "w2"), "w2")), "w2", "w1")
    tracking.client.set_registered_model_alias(NAME, "champion", "1")
    assert tracking.models.champion(NAME).version == "1"
    promote(tracking, NAME, "2", "ann", WHY)
    first, second = trail.history(tracking, NAME)
    assert (first.entry.target, first.entry.why) == ("1", "champion before this log began")
    assert (second.entry.target, second.void) == ("2", None)
    assert rollback(tracking, NAME, "ann", WHY).version == "1"


def test_an_alias_moved_by_hand_is_set_right(three: Tracking) -> None:
    promote(three, NAME, "2", "ann", WHY)
    three.client.set_registered_model_alias(NAME, "champion", "3")
    three.client.delete_registered_model_alias(NAME, "previous")
    newest, second, first = versions(three)
    assert (newest.aliases, second.aliases, first.aliases) == ((), ("champion",), ("previous",))


def test_a_deleted_champion_can_be_left_in_both_directions(three: Tracking) -> None:
    promote(three, NAME, "2", "ann", WHY)
    add(three, NAME, local(described(model(three, "w4"), "w4")), "w4", "w2")
    three.client.delete_model_version(NAME, "2")
    with pytest.raises(Stop, match="Version 2 of medu1 is the champion and is not in the registry"):
        three.models.champion(NAME)
    assert "champion" not in three.models.aliases(NAME)
    assert promote(three, NAME, "4", "ann", WHY).version == "4"
    with pytest.raises(Stop, match="Version 2 of medu1, the champion before, is not in the registry"):
        rollback(three, NAME, "ann", WHY)
    assert three.models.aliases(NAME)["champion"] == "4"


def test_a_deleted_entry_is_missed_and_a_new_log_begins_with_the_alias(three: Tracking) -> None:
    promote(three, NAME, "2", "ann", WHY)
    three.client.delete_model_version(log_of(NAME), "1")
    with unchanged(three):
        for act in (promote, lambda *words: rollback(*(words[:2] + words[3:]))):
            with pytest.raises(Stop, match=r"lacks entry 1\..*rename"):
                act(three, NAME, "3", "ann", WHY)
    assert [told.entry.number for told in trail.history(three, NAME)] == [2]
    three.client.rename_registered_model(log_of(NAME), "kept")
    assert rollback_is_refused(three)
    assert three.models.champion(NAME).version == "2"


def rollback_is_refused(tracking: Tracking) -> bool:
    with pytest.raises(Stop, match="the first champion"):
        rollback(tracking, NAME, "ann", WHY)
    return True


def test_a_log_is_no_model(three: Tracking) -> None:
    assert {version.name for version in versions(three)} == {NAME}


def test_a_log_of_more_than_a_page_is_read_whole(three: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medu1.registered_models.PAGE", 2)
    for turn in range(5):
        promote(three, NAME, "2", "ann", WHY) if turn % 2 == 0 else rollback(three, NAME, "ann", f"turn {turn}")
    assert [told.entry.number for told in trail.history(three, NAME)] == [1, 2, 3, 4, 5, 6]
    assert_settled(three)


def test_aliases_that_do_not_keep_end_in_a_stop(three: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    set_to = list[str]()
    monkeypatch.setattr(three.client, "set_registered_model_alias", lambda *words: set_to.append(words[1]))
    with pytest.raises(Stop, match="do not keep what they are set to"):
        promote(three, NAME, "2", "ann", WHY)
    assert len(set_to) == 2 * PASSES


# At the same time


def test_of_two_promotions_at_once_one_wins_and_the_other_is_void(
    three: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have looked and decided before either writes."""
    outcomes = at_once(three, [("2", "ann"), ("3", "bob")], monkeypatch)
    assert sorted(type(each).__name__ for each in outcomes.values()) == ["Promoted", "Stop"]
    winner = next(asked for asked, each in outcomes.items() if not isinstance(each, Stop))
    assert f"version {winner} became it at the same time" in str(outcomes["3" if winner == "2" else "2"])
    state = assert_settled(three)
    assert (state.champion, state.previous) == (winner, "1")
    assert list(state.void.values()) == [f"version {winner} was the champion by then, not version 1"]


def test_two_promotions_of_one_version_at_once_both_succeed(three: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = at_once(three, [("2", "ann"), ("challenger", "bob")], monkeypatch)
    assert sorted(each.already for each in outcomes.values()) == [False, True]
    assert list(assert_settled(three).void.values()) == ["it repeats entry 2"]


def at_once(tracking: Tracking, asked: list[tuple[str, str]], patch: pytest.MonkeyPatch) -> dict[str, Any]:
    met, append, outcomes = threading.Barrier(len(asked)), trail._append, dict[str, Any]()

    def waiting(*words: Any) -> None:
        met.wait(30)
        append(*words)

    def run(version: str, who: str) -> None:
        try:
            outcomes[version] = promote(Tracking(tracking.workspace), NAME, version, who, WHY)
        except Stop as stop:
            outcomes[version] = stop

    patch.setattr(trail, "_append", waiting)
    threads = [threading.Thread(target=run, args=each) for each in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


# A call that fails

Fault = Literal["killed", "refused", "lost"]
WRITES = (
    "create_registered_model",
    "create_model_version",
    "set_registered_model_alias",
    "delete_registered_model_alias",
)


class Killed(BaseException):
    """The end of a process that catches nothing."""


class Failing:
    """A client whose n-th write does not come back: it was not made, or only its answer is missing."""

    def __init__(self, client: Any, call: int, fault: Fault) -> None:
        self.client, self.call, self.fault, self.calls = client, call, fault, 0

    def __getattr__(self, name: str) -> Any:
        asked = getattr(self.client, name)
        return self._counted(asked) if name in WRITES else asked

    def _counted(self, asked: Callable[..., Any]) -> Callable[..., Any]:
        def call(*words: Any, **named: Any) -> Any:
            self.calls += 1
            if self.calls != self.call:
                return asked(*words, **named)
            if self.fault == "killed":
                raise Killed
            if self.fault == "lost":
                with suppress(MlflowException):
                    asked(*words, **named)
            raise MlflowException("API request failed with error code 502")

        return call


class Scenario(NamedTuple):
    """A command, what is in the log once it is done, and who is champion and previous."""

    act: Callable[[Tracking, str], Any]
    log: list[tuple[str, str]]
    ends: tuple[str, str]


ONE, TWO = ("promote", "1"), ("promote", "2")
SCENARIOS = {
    "promote": Scenario(
        lambda tracking, name: promote(tracking, name, "challenger", "ann", WHY), [ONE, TWO], ("2", "1")
    ),
    "rollback": Scenario(
        lambda tracking, name: rollback(tracking, name, "ann", WHY), [ONE, TWO, ("rollback", "1")], ("1", "2")
    ),
    "first": Scenario(lambda tracking, name: promote(tracking, name, "2", "ann", WHY), [ONE, TWO], ("2", "1")),
}


def stage(tracking: Tracking, name: str, scenario: str, place: Place) -> None:
    """The registry before the scenario's command; `first` has a champion and no log yet."""
    add(tracking, name, place, "w1", "")
    add(tracking, name, place, "w2", "w1")
    tracking.client.set_registered_model_alias(name, "challenger", "2")
    if scenario == "first":
        tracking.client.set_registered_model_alias(name, "champion", "1")
        return
    crown(tracking, name, "1")
    if scenario == "rollback":
        promote(tracking, name, "2", "bob", WHY)


def assert_a_retry_finishes(tracking: Tracking, name: str, scenario: str) -> None:
    """One champion at once, another command settles, the same command again completes, and adds no entry twice."""
    _, log, ends = SCENARIOS[scenario]
    before = moves(tracking, name)
    assert before == log[: len(before)]
    champion = tracking.models.champion(name).version
    assert champion == (fold(tracking.models.promotions(name)).champion or "1")
    assert tracking.models.aliases(name)["champion"] == champion
    if before:
        assert_settled(tracking, name)
    SCENARIOS[scenario].act(tracking, name)
    state = assert_settled(tracking, name)
    assert (moves(tracking, name), (state.champion, state.previous)) == (log, ends)
    assert state.void == {}
    assert len({each.request for each in tracking.models.promotions(name)}) == len(log)
    again = SCENARIOS[scenario].act(tracking, name)
    assert again.already
    assert moves(tracking, name) == log


@pytest.mark.parametrize(
    ("scenario", "fault"),
    [
        ("promote", "killed"),
        *(
            pytest.param(scenario, fault, marks=pytest.mark.faults)
            for scenario in SCENARIOS
            for fault in ("killed", "refused", "lost")
            if (scenario, fault) != ("promote", "killed")
        ),
    ],
)
def test_a_command_that_ends_at_any_write_is_finished_by_the_next(
    tracking: Tracking, scenario: str, fault: Fault
) -> None:
    """Reads change nothing, so these are all the states a registry can be left in."""
    place = local(described(model(tracking, "w"), "w"))
    failed = list[str]()
    for call in range(1, 20):
        name = f"{NAME}-{call}"
        stage(tracking, name, scenario, place)
        meant = Tracking(tracking.workspace)
        meant.client = Failing(tracking.client, call, fault)  # type: ignore[assignment]
        try:
            SCENARIOS[scenario].act(meant, name)
        except Killed:
            failed.append(str(call))
        except Stop as stop:
            failed.append(stop.next_step)
        assert_a_retry_finishes(tracking, name, scenario)
        if meant.client.calls < call:  # type: ignore[attr-defined]
            break
    else:
        pytest.fail("the command does not end")
    assert len(failed) >= (1 if fault == "lost" else 3)  # an alias that stands all the same is no failure
    assert fault == "killed" or set(failed) == {"Run the same command again: it goes on from there."}


def test_an_alias_that_another_creates_at_the_same_moment_is_no_failure(three: Tracking) -> None:
    """As PostgreSQL answers two first settings at once: one stands, the other breaks the alias's primary key."""

    class Late:
        def __getattr__(self, name: str) -> Any:
            return getattr(three.client, name)

        def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
            is_first = alias not in three.models.aliases(name)
            three.client.set_registered_model_alias(name, alias, version)
            if is_first:
                raise MlflowException("(psycopg.errors.UniqueViolation) duplicate key", BAD_REQUEST)

    late = Tracking(three.workspace)
    late.client = Late()  # type: ignore[assignment]
    assert promote(late, NAME, "2", "ann", WHY).version == "2"
    assert three.models.aliases(NAME) | {"challenger": ""} == {"champion": "2", "previous": "1", "challenger": ""}


# The command line


def run(home: Path, *words: str) -> Any:
    return CliRunner().invoke(cli.app, [*words, "--home", str(home)], catch_exceptions=True)


def test_the_commands_promote_roll_back_and_tell(three: Tracking) -> None:
    home = three.workspace.home
    done = run(home, "promote", "2", "--why", WHY, "--who", "ann", "--json")
    assert json.loads(done.output) == {"already": False, "entry": 2, "name": NAME, "replaced": "1", "version": "2"}
    assert "medu1 2 is already the champion (entry 2" in run(home, "promote", "2", "--why", WHY).output
    assert "medu1 1 is the champion" in run(home, "rollback", "--why", "slow", "--who", "bob").output
    lines = run(home, "history").output.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert "rollback  2 -> 1  bob: slow  evaluation e-w1" in lines[2]
    told = json.loads(run(home, "history", "--json").output)
    assert [(each["who"], each["why"], each["void"]) for each in told[1:]] == [
        ("ann", WHY, None),
        ("bob", "slow", None),
    ]


def test_the_user_of_the_process_asks_where_nobody_is_named(three: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "carol")
    run(three.workspace.home, "promote", "2", "--why", WHY)
    assert trail.history(three, NAME)[-1].entry.who == "carol"


def test_a_reason_must_be_given(three: Tracking) -> None:
    for words in (["promote", "2"], ["rollback"]):
        assert run(three.workspace.home, *words).exit_code == 2


def test_a_home_without_a_registry_gets_none_from_a_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert run(tmp_path, "history").output == "Nothing was promoted in medu1.\n"
    assert json.loads(run(tmp_path, "history", "--json").output) == []
    for words in (["promote", "1"], ["rollback"]):
        assert "is empty" in str(run(tmp_path, *words, "--why", WHY).exception)
    assert list(tmp_path.iterdir()) == []


# Files in an object store


@pytest.fixture
def stored(three: Tracking, s3: S3) -> tuple[Tracking, str]:
    """Version 4, judged against version 1, has its files in a bucket."""
    bucket = s3.bucket()
    folder = described(model(three, "w4"), "w4")
    for path in folder.rglob("*"):
        if path.is_file():
            s3.put(bucket, f"p/train/w4/{path.relative_to(folder)}", path.read_bytes())
    place = local(folder)._replace(source=f"s3://{bucket}/p/train/w4")
    add(three, NAME, place, "w4", "w1")
    return three, bucket


def test_files_in_a_bucket_are_fetched_and_checked(stored: tuple[Tracking, str]) -> None:
    tracking, _ = stored
    assert promote(tracking, NAME, "4", "ann", WHY).version == "4"
    assert not list((tracking.workspace.home / "store").glob(".scratch-*"))


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("model.safetensors", b"xx", "does not have the checksum"),
        ("record.json", b"{", "cannot be read"),
        ("record.json", None, "gone"),
        ("sub/config.json", None, "gone"),
        ("extra.py", b"1", r"added: extra\.py"),
    ],
)
def test_files_in_a_bucket_that_are_not_those_registered_are_refused(
    stored: tuple[Tracking, str], s3: S3, file: str, content: bytes | None, said: str
) -> None:
    tracking, bucket = stored
    key = f"p/train/w4/{file}"
    if content is None:
        s3.client.delete_object(Bucket=bucket, Key=key)
    else:
        s3.put(bucket, key, content)
    with unchanged(tracking), pytest.raises(Stop, match=said):
        promote(tracking, NAME, "4", "ann", WHY)


# A server

Meets = Callable[[int], Literal["pass", "refuse", "lose", "kill"]]


class Gate:
    """Between clients and the server: what happens to the n-th request to the registry is told by `meets`."""

    def __init__(self, server: Server) -> None:
        self.meets: Meets = lambda number: "pass"
        self.requests, self.counts_reads = 0, True
        self.client: BaseProcess | None = None  # who is killed
        gate, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fate = "pass"
                is_counted = gate.counts_reads or self.command != "GET"
                if is_counted and ("/registered-models/" in self.path or "/model-versions/" in self.path):
                    with lock:
                        gate.requests += 1
                        fate = gate.meets(gate.requests)
                if fate == "kill":
                    assert gate.client
                    assert gate.client.pid
                    os.kill(gate.client.pid, signal.SIGKILL)
                    return None
                if fate == "refuse":
                    return self._answer(502, b"", "text/plain")
                status, content, kind = self._asked(body)
                if fate == "lose":
                    self.close_connection = True
                    return None
                return self._answer(status, content, kind)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

            def _asked(self, body: bytes) -> tuple[int, bytes, str]:
                onward = HTTPConnection("127.0.0.1", server.port, timeout=60)
                headers = {"Content-Type": self.headers.get("Content-Type", "application/json")}
                onward.request(self.command, self.path, body, headers)
                answer = onward.getresponse()
                content = answer.read()
                onward.close()
                return answer.status, content, answer.getheader("Content-Type", "")

            def _answer(self, status: int, content: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def opened(self, meets: Meets, reads: bool = True) -> None:
        """Count from the start, with the requests that change nothing or without them."""
        self.requests, self.meets, self.counts_reads = 0, meets, reads

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def a_server(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("server")
    shutil.copy(empty_database, home / "mlflow.db")
    found = Server(home)
    found.start()
    yield found
    found.kill()


@pytest.fixture
def server(a_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tracking:
    """The server itself, met by a client that asks once."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    return at(a_server.uri, tmp_path)


@pytest.fixture
def gate(a_server: Server) -> Iterator[Gate]:
    found = Gate(a_server)
    yield found
    found.close()


@pytest.fixture
def uploaded(server: Tracking, tmp_path: Path) -> Place:
    """A model's files as artifacts of a run, where `register` puts them behind a server."""
    folder = described(tmp_path / "model", "w")
    run = server.child("train")
    server.client.log_artifacts(run, str(folder), "model")
    source = f"{server.client.get_run(run).info.artifact_uri}/model"
    return local(folder)._replace(source=source, run=run)


def at(uri: str, home: Path) -> Tracking:
    return Tracking(Workspace(home=home, run=home.name, tracking_uri=uri))


def attempt(uri: str, home: Path, name: str, scenario: str, *words: str) -> None:
    """A command as a process of its own."""
    tracking = at(uri, home)
    with suppress(Stop):
        promote(tracking, name, *words) if words else SCENARIOS[scenario].act(tracking, name)


@pytest.fixture(scope="module")
def processes() -> Any:
    """Processes that begin with MLflow imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow", "mlflow.artifacts", "medu1.register.promotion"])
    return context


@pytest.mark.faults
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_process_killed_between_any_two_requests_leaves_one_champion(
    server: Tracking, gate: Gate, uploaded: Place, processes: Any, scenario: str
) -> None:
    home, call = server.workspace.home, 0
    while True:
        call += 1
        name = f"killed-{scenario}-{call}"
        stage(server, name, scenario, uploaded)
        gate.opened(lambda number, call=call: "kill" if number == call else "pass", reads=scenario == "promote")
        gate.client = processes.Process(target=attempt, args=(gate.uri, home, name, scenario))
        gate.client.start()
        gate.client.join(60)
        was_killed = gate.client.exitcode == -signal.SIGKILL
        assert was_killed or gate.client.exitcode == 0
        assert_a_retry_finishes(server, name, scenario)
        if not was_killed:
            break
    assert call > (10 if scenario == "promote" else 3)


@pytest.mark.faults
@pytest.mark.parametrize(
    ("scenario", "fate", "retries", "reads"),
    [
        ("promote", "refuse", "0", True),
        ("promote", "lose", "0", False),
        ("promote", "lose", "2", False),
        ("rollback", "lose", "2", False),
        ("first", "lose", "2", False),
        ("first", "refuse", "0", False),
    ],
)
def test_a_server_that_fails_any_request_leaves_one_champion(
    server: Tracking,
    gate: Gate,
    uploaded: Place,
    scenario: str,
    fate: Literal["refuse", "lose"],
    retries: str,
    reads: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A client that asks again would append twice, were it left to."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    call = 0
    while call == 0 or gate.requests >= call:
        call += 1
        name = f"{fate}-{scenario}-{call}-{retries}"
        stage(server, name, scenario, uploaded)
        gate.opened(lambda number, call=call: fate if number == call else "pass", reads)
        with monkeypatch.context() as patch:
            patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", retries)
            with suppress(Stop):
                SCENARIOS[scenario].act(at(gate.uri, server.workspace.home), name)
        assert_a_retry_finishes(server, name, scenario)
    assert call > (10 if reads else 3)


@pytest.mark.faults
def test_processes_that_promote_at_once_end_in_one_champion(
    server: Tracking, uploaded: Place, processes: Any, tmp_path: Path
) -> None:
    for turn in range(6):
        name = f"race-{turn}"
        stage(server, name, "promote", uploaded)
        add(server, name, uploaded, "w3", "w1")
        racers = [
            processes.Process(
                target=attempt, args=(server.workspace.tracking_uri, tmp_path, name, "", version, who, WHY)
            )
            for version, who in (("2", "ann"), ("3", "bob"), ("3", "carol"))
        ]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join(60)
            assert racer.exitcode == 0
        state = assert_settled(server, name)
        assert state.champion in ("2", "3")
        valid = [each for each in moves(server, name)[1:] if each[1] == state.champion]
        assert valid
        assert len(server.models.promotions(name)) - len(state.void) == 2


@pytest.mark.faults
def test_behind_a_server_files_are_fetched_and_tampered_ones_refused(
    server: Tracking, a_server: Server, uploaded: Place
) -> None:
    stage(server, "fetched", "promote", uploaded)
    assert promote(server, "fetched", "2", "ann", WHY).version == "2"
    (weights,) = (a_server.home / "artifacts").rglob(f"{uploaded.run}/artifacts/model/model.safetensors")
    weights.write_text("x", encoding="utf-8")
    before = (server.models.aliases("fetched"), server.models.promotions("fetched"))
    with pytest.raises(Stop, match=r"changed: model\.safetensors"):
        rollback(server, "fetched", "ann", WHY)
    shutil.rmtree(weights.parent)
    with pytest.raises(Stop, match="are gone"):
        rollback(server, "fetched", "ann", WHY)
    assert (server.models.aliases("fetched"), server.models.promotions("fetched")) == before
