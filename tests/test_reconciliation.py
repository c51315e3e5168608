"""Schedules of a file on an endpoint: over real HTTP, with every fault at every call, and hand edits between."""

import copy
import json
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from kfp_server import KfpServer
from medu1.errors import Stop
from pipelines import reconciliation
from pipelines.access import Access
from pipelines.endpoint import Endpoint, version_name
from pipelines.reconciliation import Wanted, differences, ours, plan
from pipelines.recurring import Prepared, RecurringRuns
from pipelines.terms import Scope, Terms
from pipelines.wire import Patience

SCOPE = Scope("medu1", "production")
QUICK = Patience(seconds=5, pauses=(0.0, 0.0))
PACKAGE = """
pipelineInfo: {name: retraining}
root: {inputDefinitions: {parameters: {train: {parameterType: STRING}}}}
"""
STATE = ("pipelines", "versions", "experiments", "recurring")
FAULTS = [  # what the n-th call and all after it get; whether the n-th does what it was asked for
    *((401, False), (403, False), (409, False), (503, True), ("drop", False), ("drop", True)),
]


class Failing(KfpServer):
    """Fails from the n-th call on, as an endpoint that goes away does, or a caller that is killed."""

    calls, at, how, effect = 0, 0, 0, False

    def answered(self, asked):
        self.calls += 1
        if self.at and self.calls >= self.at:
            done = self.effect and self.calls == self.at
            self.fail(asked.method, re.escape(asked.path) + "$", self.how, after_effect=done)
        return super().answered(asked)

    def fail_from(self, at, how=0, effect=False):
        self.calls, self.at, self.how, self.effect = 0, at, how, effect

    def snapshot(self):
        return {name: copy.deepcopy(getattr(self, name)) for name in STATE}

    def restore(self, snapshot):
        self._faults.clear()
        for name in STATE:
            setattr(self, name, copy.deepcopy(snapshot[name]))


@pytest.fixture(scope="module")
def server():
    with Failing() as server:
        server.empty = server.snapshot()
        yield server


@pytest.fixture
def runs(server, tmp_path):
    """The recurring runs of an endpoint, as a file with these schedules sees them."""
    server.fail_from(0)
    server.restore(server.empty)
    endpoint = Endpoint(Access(url=server.url), QUICK)

    def runs(**schedules):
        package = tmp_path / "package.yaml"
        package.write_text(PACKAGE)
        name = version_name(package)
        wanted = {
            each.replace("_", "-"): Wanted(
                Terms(
                    **{"cron": "0 0 3 * * 1", "concurrency": 1, "no_catchup": True, "experiment": "medu1"}
                    | {key: value for key, value in given.items() if key not in ("enabled", "steps")},
                    package=name,
                    parameters={"train": json.dumps({"steps": given.get("steps", 40), "seed": 0})},
                ),
                given.get("enabled", True),
            )
            for each, given in schedules.items()
        }
        return RecurringRuns(endpoint, Prepared(SCOPE, wanted, {name: package}))

    return runs


def applied(runs, prune=True):
    return reconciliation.apply(runs, runs.prepared.scope, runs.prepared.wanted, prune).done


def difference(runs, prune=True):
    owned = ours(runs.held(), runs.prepared.scope)
    found = differences(runs.prepared.wanted, owned, prune)
    assert bool(found) == bool(plan(runs.prepared.wanted, owned, prune))
    return found


def kinds(runs):
    return {(each.name, each.kind) for each in difference(runs)}


def on_server(server):
    return sorted((each["display_name"], each["mode"]) for each in server.recurring.values())


def only(server, name):
    (found,) = [each for each in server.recurring.values() if each["display_name"] == SCOPE.display(name)]
    return found


def somebodys(server, name="cleanup", description="Mine."):
    """A recurring run that no file made."""
    experiment = server._default_experiment()
    made = {"display_name": name, "description": description, "mode": "ENABLE", "status": "ENABLED"}
    made |= {"max_concurrency": "1", "trigger": {"periodic_schedule": {"interval_second": "60"}}}
    return server._add(server.recurring, "recurring_run_id", {**made, "experiment_id": experiment})


def test_a_second_apply_does_nothing(server, runs):
    file = runs(weekly={}, nightly={"cron": "0 0 1 * * *", "enabled": False})
    assert kinds(file) == {("weekly", "added"), ("nightly", "added")}
    assert [act.verb for act in applied(file)] == ["create", "create"]
    before = server.snapshot()
    assert difference(file) == []
    assert applied(file) == []
    assert server.snapshot() == before
    assert on_server(server) == [("medu1-production-nightly", "DISABLE"), ("medu1-production-weekly", "ENABLE")]


def test_a_look_at_the_differences_leaves_nothing_on_the_endpoint(server, runs):
    assert difference(runs(weekly={}))
    assert server.snapshot() == server.empty


def test_everything_that_was_asked_for_arrives(server, runs):
    times = {"start": "2027-01-01T00:00:00Z", "end": "2028-01-01T00:00:00Z"}
    file = runs(weekly={**times, "concurrency": 3, "service_account": "trainer", "no_catchup": False, "steps": 7})
    applied(file)
    found = only(server, "weekly")
    assert found["trigger"]["cron_schedule"] == {
        "cron": "0 0 3 * * 1",
        "start_time": "2027-01-01T00:00:00Z",
        "end_time": "2028-01-01T00:00:00Z",
    }
    assert (found["max_concurrency"], found["no_catchup"], found["service_account"]) == ("3", False, "trainer")
    assert json.loads(found["runtime_config"]["parameters"]["train"]) == {"steps": 7, "seed": 0}
    assert server.experiments[found["experiment_id"]]["display_name"] == "medu1"
    assert server.versions[found["pipeline_version_reference"]["pipeline_version_id"]]["name"].startswith("medu1-")
    assert len(found["description"]) < 191  # a column of the endpoint's database
    assert difference(file) == []


def test_the_longest_names_leave_room_for_the_mark():
    scope = Scope("o" * 20, "e" * 20)
    assert len(scope.description("n" * 40, "0" * 16)) < 191
    assert len(scope.display("n" * 40)) < 191


@pytest.mark.parametrize(
    ("changed", "field", "here", "there"),
    [
        ({"cron": "0 0 4 * * 1"}, "cron", "0 0 4 * * 1", "0 0 3 * * 1"),
        ({"concurrency": 2}, "concurrency", 2, 1),
        ({"no_catchup": False}, "no_catchup", False, True),
        ({"experiment": "other"}, "experiment", "other", None),
        ({"service_account": "trainer"}, "service_account", "trainer", ""),
        ({"start": "2027-01-01T00:00:00Z"}, "start", "2027-01-01T00:00:00Z", ""),
        ({"steps": 50}, "train.steps", 50, 40),
    ],
)
def test_a_change_of_the_file_is_named_by_field_and_made(server, runs, changed, field, here, there):
    applied(runs(weekly={}))
    old = only(server, "weekly")["recurring_run_id"]
    file = runs(weekly=changed)
    ((name, kind, ((shown, file_has, endpoint_has),)),) = difference(file)
    assert (name, kind, shown, file_has) == ("weekly", "changed", field, here)
    assert there is None or endpoint_has == there
    assert [act.verb for act in applied(file)] == ["create", "disable", "enable", "delete"]
    assert only(server, "weekly")["recurring_run_id"] != old
    assert difference(file) == []


def test_a_new_package_is_a_change(server, runs, monkeypatch):
    applied(runs(weekly={}))
    monkeypatch.setattr("test_reconciliation.PACKAGE", PACKAGE + "sdkVersion: kfp-9\n")
    file = runs(weekly={})
    ((_, kind, (field,)),) = difference(file)
    assert (kind, field.field) == ("changed", "package")
    applied(file)
    assert difference(file) == []


def test_two_of_a_name_are_never_on_while_one_replaces_the_other(server, runs):
    applied(runs(weekly={}))
    file, most = runs(weekly={"steps": 50}), 0
    answered = server.answered

    def watched(asked):
        nonlocal most
        answer = answered(asked)
        most = max(most, sum(each["mode"] == "ENABLE" for each in server.recurring.values()))
        return answer

    server.answered = watched
    try:
        applied(file)
    finally:
        del server.answered
    assert most == 1


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        (lambda it: it["trigger"]["cron_schedule"].update(cron="0 0 5 * * 1"), "cron"),
        (lambda it: it.update(trigger={"periodic_schedule": {"interval_second": "60"}}), "cron"),
        (lambda it: it.update(max_concurrency="9"), "concurrency"),
        (lambda it: it.update(no_catchup=False), "no_catchup"),
        (lambda it: it["trigger"]["cron_schedule"].update(end_time="2027-01-01T00:00:00Z"), "end"),
        (lambda it: it["runtime_config"]["parameters"].update(train='{"steps": 1, "seed": 0}'), "train.steps"),
        (lambda it: it["runtime_config"].update(parameters={}), "train.seed"),
        (lambda it: it.update(pipeline_version_reference={}), "package"),
        (lambda it: it.update(experiment_id="elsewhere"), "experiment"),
    ],
)
def test_an_edit_by_hand_is_shown_by_field_and_undone(server, runs, edit, field):
    file = runs(weekly={})
    applied(file)
    edit(only(server, "weekly"))
    ((name, kind, fields),) = difference(file)
    assert (name, kind) == ("weekly", "edited")
    assert field in {each.field for each in fields}
    applied(file)
    assert difference(file) == []
    assert on_server(server) == [("medu1-production-weekly", "ENABLE")]


def test_the_service_account_that_the_endpoint_fills_in_is_no_edit(server, runs):
    file = runs(weekly={})
    applied(file)
    only(server, "weekly")["service_account"] = "pipeline-runner"
    assert difference(file) == []


@pytest.mark.parametrize(
    ("wanted", "mode", "kind", "verb"),
    [(True, "DISABLE", "paused", "enable"), (False, "ENABLE", "running", "disable")],
)
def test_on_and_off_are_changed_in_place(server, runs, wanted, mode, kind, verb):
    file = runs(weekly={"enabled": wanted})
    applied(file)
    only(server, "weekly").update(mode=mode, status=f"{mode}D")
    assert kinds(file) == {("weekly", kind)}
    assert [act.verb for act in applied(file)] == [verb]
    assert difference(file) == []


def test_what_left_the_file_goes_unless_it_shall_stay(server, runs):
    applied(runs(weekly={}, nightly={}))
    file = runs(weekly={})
    assert kinds(file) == {("nightly", "removed")}
    assert difference(file, prune=False) == []
    assert applied(file, prune=False) == []
    assert [(act.verb, act.name) for act in applied(file)] == [("delete", "nightly")]
    assert difference(file) == []


def test_copies_go_and_the_oldest_stays(server, runs):
    file = runs(weekly={})
    applied(file)
    first = only(server, "weekly")
    server._add(server.recurring, "recurring_run_id", copy.deepcopy(first))
    assert kinds(file) == {("weekly", "copies")}
    applied(file)
    assert only(server, "weekly")["recurring_run_id"] == first["recurring_run_id"]
    assert difference(file) == []


def test_schedules_of_others_are_not_touched(server, runs):
    somebodys(server)
    somebodys(server, SCOPE.display("gone"), SCOPE.description("gone", "0" * 16))  # ours, to see that it goes
    somebodys(server, "medu1-staging-gone", Scope("medu1", "staging").description("gone", "0" * 16))
    somebodys(server, SCOPE.display("renamed"), Scope("medu1", "staging").description("renamed", "0" * 16))
    somebodys(server, "theirs-production-gone", Scope("theirs", "production").description("gone", "0" * 16))
    somebodys(server, "Clone of medu1-production-gone", SCOPE.description("gone", "0" * 16))
    file = runs(weekly={})
    applied(file)
    assert [name for name, _ in on_server(server)] == [
        *("Clone of medu1-production-gone", "cleanup", "medu1-production-renamed", "medu1-production-weekly"),
        *("medu1-staging-gone", "theirs-production-gone"),
    ]


def test_a_name_that_someone_else_uses_stops_before_anything_is_changed(server, runs):
    somebodys(server, SCOPE.display("weekly"))
    before = server.snapshot()
    with pytest.raises(Stop, match="medu1-production-weekly") as stop:
        applied(runs(weekly={}, nightly={}))
    assert "Nothing was changed" in str(stop.value)
    assert server.snapshot() == before


def test_every_page_is_read(server, runs):
    for at in range(230):
        somebodys(server, f"other-{at}")
    file = runs(**{f"s{at}": {} for at in range(3)})
    applied(file)
    assert difference(file) == []
    assert applied(file) == []
    assert len(server.recurring) == 233


def from_nothing(server, runs):
    """An endpoint without schedules of ours."""


def from_another_file(server, runs):
    applied(runs(weekly={"steps": 1}, nightly={"steps": 1}, gone={}))


def after_edits(server, runs):
    file = runs(weekly={}, nightly={"enabled": False})
    applied(file)
    only(server, "weekly").update(max_concurrency="9")
    only(server, "nightly").update(mode="ENABLE", status="ENABLED")
    server._add(server.recurring, "recurring_run_id", copy.deepcopy(only(server, "weekly")))


@pytest.mark.parametrize(
    ("start", "how", "effect"),
    [
        *((from_another_file, *fault) for fault in FAULTS),
        *((start, *fault) for start in (from_nothing, after_edits) for fault in ((403, False), ("drop", True))),
    ],
)
def test_whatever_fails_from_whichever_call_on_the_next_apply_ends_it(server, runs, start, how, effect):
    start(server, runs)
    other = somebodys(server)
    file, began = runs(weekly={}, nightly={"enabled": False}), server.snapshot()
    server.fail_from(0)
    applied(file)
    calls, ends = server.calls, on_server(server)
    assert calls > 8
    for at in range(1, calls + 1):
        server.restore(began)
        server.fail_from(at, how, effect)
        with pytest.raises(Stop):
            applied(file)
        server.fail_from(0)
        server._faults.clear()
        on = Counter(each["display_name"] for each in server.recurring.values() if each["mode"] == "ENABLE")
        if start is not after_edits:  # where two are on to begin with
            assert max(on.values()) == 1, at
        applied(file)
        assert difference(file) == [], at
        assert on_server(server) == ends, at
        assert server.recurring[other["recurring_run_id"]] == other
        assert len(server.pipelines) == len(server.versions) == 1, at
        assert Counter(each["display_name"] for each in server.experiments.values())["medu1"] == 1, at


@pytest.mark.parametrize("effect", [False, True])
def test_an_endpoint_that_hangs_is_left_and_the_next_apply_ends_it(server, runs, effect):
    file = runs(weekly={})
    file.endpoint = Endpoint(Access(url=server.url), Patience(seconds=0.5, pauses=(0.0,)))
    server.fail("POST", "recurringruns$", "hang", times=9, after_effect=effect)
    if effect:  # the answer is lost, a look finds what was made
        applied(file)
    else:
        with pytest.raises(Stop, match=r"create weekly: .* gave no whole answer in 0\.5 s\. Done before it: nothing\."):
            applied(file)
    server._faults.clear()
    applied(file)
    assert difference(file) == []
    assert on_server(server) == [("medu1-production-weekly", "ENABLE")]


def test_a_stop_says_what_was_done_and_that_an_apply_goes_on(server, runs):
    applied(runs(weekly={}))
    server.fail("POST", ":enable$", 403, times=9)
    with pytest.raises(Stop) as stop:
        applied(runs(weekly={"steps": 50}))
    said = str(stop.value)
    assert said.startswith("enable weekly: ")
    assert "Done before it: create weekly, disable weekly." in said
    assert (
        "Then apply again: it goes on from there, and nothing is made twice; none of weekly fires until then." in said
    )


@pytest.mark.parametrize("turn", range(4))
def test_two_applies_of_the_same_file_at_once_agree(server, runs, turn):
    if turn % 2:
        applied(runs(weekly={"steps": 1}))
    files = [runs(weekly={}, nightly={}) for _ in range(2)]
    barrier = Barrier(2)

    def race(file):
        barrier.wait()
        return applied(file)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(race, files))
    assert difference(files[0]) == []
    assert on_server(server) == [("medu1-production-nightly", "ENABLE"), ("medu1-production-weekly", "ENABLE")]


def test_two_files_that_undo_each_other_end_with_a_stop(server, runs):
    file, other = runs(weekly={}), runs(weekly={"steps": 1})
    held = file.held
    file.held = lambda: (applied(other), held())[1]
    with pytest.raises(Stop, match="do not come to rest"):
        applied(file)


def test_a_namespace_that_is_forbidden_is_named_and_nothing_is_changed(tmp_path, runs):
    with KfpServer(namespaces=("theirs",)) as server:
        file = runs(weekly={})
        file.endpoint = Endpoint(Access(url=server.url, namespace="team"), QUICK)
        with pytest.raises(Stop, match=r"forbids .* in namespace team \(403\)"):
            applied(file)
        assert not server.recurring


def test_a_caller_who_is_not_known_is_told(runs):
    with KfpServer(token="right") as server:
        file = runs(weekly={})
        file.endpoint = Endpoint(Access(url=server.url), QUICK)
        with pytest.raises(Stop, match=r"does not accept .* \(401\)"):
            applied(file)
        assert not server.recurring


def test_an_endpoint_that_is_down_is_told(runs):
    with KfpServer() as server:
        url = server.url
    file = runs(weekly={})
    file.endpoint = Endpoint(Access(url=url), QUICK)
    with pytest.raises(Stop, match="Nothing answers at"):
        applied(file)


def test_a_cron_that_the_endpoint_refuses_is_told_in_its_words(server, runs):
    with pytest.raises(Stop, match=r"create weekly: .* \(400\)\. It says: Schedule cron is not a supported format"):
        applied(runs(weekly={"cron": "TZ=Asia/Tokyo 0 0 3 * * 1"}))
    assert not server.recurring


def test_namespaces_keep_their_schedules_apart(runs):
    with KfpServer(namespaces=("one", "two")) as server:
        files = {name: runs(weekly={}) for name in server.namespaces}
        for name, file in files.items():
            file.endpoint = Endpoint(Access(url=server.url, namespace=name), QUICK)
            applied(file)
        assert len(server.recurring) == 2
        assert all(difference(file) == [] for file in files.values())
