"""`medu1 schedule`, as it is typed: the file compiled, an endpoint over real HTTP, output and exit codes."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kfp_server import KfpServer
from pipelines import cli, package, schedule_lines
from pipelines.terms import Held, Scope, Terms

ROOT = Path(__file__).parents[1]
IMAGE = "127.0.0.1:1/medu1@sha256:" + 8 * "0123abcd"  # of a registry that is away: what it has cannot be looked up
FILE = """
owner: medu1
environments:
  staging: {{}}
  production: {{set: {{train.steps: 60, train.save_every: 10}}, namespace: team}}
schedules:
  weekly: {{cron: "30 3 * * 1", placement: cpu, images: {images}}}
"""


@pytest.fixture
def server():
    with KfpServer(namespaces=("team",)) as server:
        yield server


@pytest.fixture(scope="module")
def compiled():
    """Packages by placement: kfp's setters look at every loaded module, seconds where transformers is among them."""
    return {}


@pytest.fixture
def medu1(server, compiled, tmp_path, monkeypatch, capsys):
    """The command on a file and a server: exit code, stdout, stderr."""
    write = package.write

    def once(out, images, place, allow_skew, params):
        if place not in compiled:
            compiled[place] = write(out, images, place, allow_skew, params).read_bytes()
        out.write_bytes(compiled[place])
        return out

    monkeypatch.setattr(package, "write", once)
    images, file = tmp_path / "images.json", tmp_path / "schedules.yaml"
    images.write_text(json.dumps({"cpu": IMAGE, "gpu": IMAGE, "commit": 5 * "0a1b2c3d"}))
    file.write_text(FILE.format(images=images))
    monkeypatch.chdir(ROOT)

    def medu1(command, *words, environment="production"):
        where = ["--file", str(file), "--endpoint", server.url, "--environment", environment]
        own = ["--home", str(tmp_path), "--allow-skew"] if command in ("diff", "apply") else []
        monkeypatch.setattr(sys, "argv", ["medu1", "schedule", command, *where, *own, *words])
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        return code, out, err

    medu1.file = file
    return medu1


def test_a_schedule_from_its_file_to_the_endpoint_and_away_again(medu1, server, compiled):
    code, out, _ = medu1("diff")
    assert (code, out.splitlines()[1]) == (1, "+ weekly: not on the endpoint")
    assert not server.recurring
    assert not server.pipelines

    code, out, err = medu1("apply")
    assert (code, out.splitlines()[-1]) == (0, "made weekly")
    assert "127.0.0.1:1/medu1 is not checked" in err
    (made,) = server.recurring.values()
    arguments = made["runtime_config"]["parameters"]
    assert json.loads(arguments["train"])["steps"] == 60
    assert made["trigger"]["cron_schedule"] == {"cron": "0 30 3 * * 1"}

    compiled.clear()  # so that the package is compiled anew, and is the same
    assert medu1("diff")[0] == 0
    assert medu1("apply")[1].startswith("Nothing to do: production at http://127.0.0.1")

    code, out, _ = medu1("pause", "weekly")
    assert code == 0
    assert "until it is resumed, or the next apply" in out
    assert made["mode"] == "DISABLE"
    code, out, _ = medu1("diff", "--json")
    assert (code, json.loads(out)) == (1, [{"name": "weekly", "kind": "paused", "fields": []}])
    assert "weekly    paused  0 30 3 * * 1  -" in medu1("list")[1]

    assert medu1("resume", "weekly")[0] == 0
    made["max_concurrency"] = "5"
    code, out, _ = medu1("apply")
    assert code == 0
    assert "! weekly: edited by hand on the endpoint\n    concurrency: endpoint 5, file 1" in out
    assert out.splitlines()[-4:] == ["made weekly", "switched off weekly", "switched on weekly", "deleted weekly"]

    assert medu1("delete", "weekly")[1] == "deleted weekly\n"
    assert not server.recurring


def test_commands_on_one_schedule_see_none_but_the_files_own(medu1, server):
    experiment = server._add(server.experiments, "experiment_id", {"display_name": "x", "namespace": "team"})
    other = {"display_name": "cleanup", "mode": "ENABLE", "experiment_id": experiment["experiment_id"]}
    server._add(server.recurring, "recurring_run_id", {**other, "trigger": {}, "max_concurrency": "1"})
    for command in ("pause", "resume", "delete"):
        code, _, err = medu1(command, "cleanup")
        assert code == 2
        assert "there is no schedule 'cleanup'" in err
    assert medu1("delete", "--all")[1] == "nothing to delete\n"
    assert medu1("list")[1] == "No schedules.\n"
    assert "(cleanup, another's)" in medu1("list", "--all")[1]
    assert len(server.recurring) == 1


def test_delete_wants_one_name_or_all(medu1):
    assert medu1("delete")[0] == 2
    assert medu1("delete", "weekly", "--all")[0] == 2


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ("placement: cpu", "placement: cpus", "schedules.weekly: "),
        ("placement: cpu", "placement: none", "schedules.weekly: The placement none is this machine."),
        ("train.steps", "train.stpes", "schedules.weekly: "),
        ("train.steps: 60", "prepare.sources: [mmlu:/nowhere.csv]", "schedules.weekly: A cluster cannot reach"),
        ("production: {", "production: {time_zone: Europe/Zurich, ", ""),
        (
            '1", ',
            '1", time_zone: Europe/Zurich, ',
            "schedules.weekly: cron '0 30 3 * * 1' in Europe/Zurich has no equal",
        ),
        ("30 3 * * 1", "30 25 * * 1", "schedules.weekly.cron = '30 25 * * 1': hour '25'"),
    ],
)
def test_a_file_that_cannot_be_done_is_refused_before_the_endpoint_is_asked(medu1, server, wrong, right, said):
    text = medu1.file.read_text()
    medu1.file.write_text(text.replace(wrong, right, 1))
    assert medu1.file.read_text() != text
    code, _, err = medu1("apply")
    assert (code, bool(server.requests)) == ((2, False) if said else (0, True))
    assert said in err


def test_an_environment_is_named_where_there_are_several(medu1):
    code, _, err = medu1("list", environment="")
    assert code == 2
    assert "staging, production" in err
    code, _, err = medu1("list", environment="prod")
    assert "there is no environment 'prod'; the nearest is production" in err


def test_placeholders_of_images_are_refused(medu1, server):
    medu1.file.write_text(FILE.format(images=ROOT / "tests/golden/images.json"))
    code, _, err = medu1("apply")
    assert code == 2
    assert "schedules.weekly: " in err
    assert "is a placeholder" in err
    assert not server.requests


def test_an_endpoint_that_says_no_is_no_difference(medu1, server):
    server.fail("GET", "recurringruns", 403, times=9)
    code, out, err = medu1("diff", "--json")
    assert code == 2
    assert "forbids" in err
    assert "in namespace team" in json.loads(out)["error"]


def held(cron="0 30 3 * * 1", **given):
    terms = Terms(cron=cron, concurrency=1, no_catchup=True, experiment="x", package="p", parameters={}, **given)
    about = {"id": "1", "display": "medu1-production-weekly", "created": datetime(2026, 1, 1, tzinfo=UTC)}
    return Held(**about, description="", enabled=True, terms=terms)


@pytest.mark.parametrize(
    ("given", "zone", "upcoming"),
    [
        ({}, "UTC", "2026-11-30T03:30:00+00:00"),
        ({}, "Europe/Zurich", "2026-11-30T03:30:00+01:00"),
        ({"start": "2027-07-01T00:00:00Z"}, "Europe/Zurich", "2027-07-05T03:30:00+02:00"),
        ({"end": "2026-11-29T00:00:00Z"}, "UTC", None),
        ({"cron": ""}, "UTC", None),
    ],
)
def test_the_next_time_is_that_of_the_endpoints_zone(given, zone, upcoming):
    now = datetime(2026, 11, 27, 12, tzinfo=UTC)
    assert schedule_lines.row(held(**given), Scope("medu1", "production"), zone, now)["next"] == upcoming


def test_what_an_endpoint_says_cannot_move_the_cursor():
    row = {"name": None, "display_name": "x\x1b[2J", "enabled": True, "cron": "0\x1b[1m", "next": None}
    assert "\x1b" not in "".join(schedule_lines.table([{**row, "time_zone": "UTC"}]))
