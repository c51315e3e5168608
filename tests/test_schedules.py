"""Schedules as a file, and cron as an endpoint takes it."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from medu1.errors import Stop
from pipelines.cron import Cron
from pipelines.request import check_options, placements, read_params
from pipelines.schedules import FILE, Schedules, moment, settings

ROOT = Path(__file__).parents[1]
GOOD = """
owner: medu1
environments:
  staging: {set: {train.steps: 5}}
  production: {endpoint: https://kfp.example.org, namespace: team, time_zone: Europe/Zurich}
schedules:
  weekly: {cron: "30 3 * * 1", placement: cpu}
  nightly: {cron: "@daily", placement: cpu, only: [staging], set: {train.seed: 1}}
"""


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "schedules.yaml"
        path.write_text(text)
        return Schedules.read(path)

    return read


def refusal(read, text):
    with pytest.raises(Stop) as stop:
        read(text)
    return str(stop.value)


def test_the_file_in_the_repository_is_usable():
    shipped = Schedules.read(ROOT / FILE)
    assert all(shipped.of(name) for name in ("staging", "production"))
    assert all(not environment.endpoint for environment in shipped.environments.values())


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_what_the_file_in_the_repository_asks_for_is_possible(environment, monkeypatch):
    monkeypatch.chdir(ROOT)
    shipped = Schedules.read()
    for each in shipped.of(environment).values():
        given = settings(each.set, shipped.environment(environment).set)
        check_options(read_params(each.params, given).train)
        assert each.placement in placements(each.params)


def test_a_schedule_is_made_where_it_is_wanted(read):
    file = read(GOOD)
    assert list(file.of("staging")) == ["weekly", "nightly"]
    assert list(file.of("production")) == ["weekly"]


def test_what_is_not_said_is_safe(read):
    weekly = read(GOOD).schedules["weekly"]
    assert (weekly.concurrency, weekly.no_catchup, weekly.enabled) == (1, True, True)


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ("placement: cpu}", "placment: cpu}", "the nearest is schedules.weekly.placement"),
        ("placement: cpu}", "}", "schedules.weekly.placement is missing"),
        ('"30 3 * * 1"', '"30 3 * * 8"', "schedules.weekly.cron = '30 3 * * 8': day of the week '8'"),
        ('"30 3 * * 1"', '"every week"', "it has 2 fields, not 6 or 5"),
        ('"30 3 * * 1"', "7", "schedules.weekly.cron = 7"),
        ("time_zone: Europe/Zurich", "time_zone: Europe/Zürich", "the nearest is Europe/Zurich"),
        ("only: [staging]", "only: [stagging]", "there is no environment 'stagging'; the nearest is staging"),
        ("  nightly:", "  weekly:", "line 8, column 3: weekly is there twice"),
        ("  nightly:", "  Nightly run:", "schedules.Nightly run cannot be named so"),
        ("placement: cpu}", "placement: cpu, concurrency: 11}", "schedules.weekly.concurrency = 11"),
        ("placement: cpu}", "placement: cpu, concurrency: 0}", "schedules.weekly.concurrency = 0"),
        ("placement: cpu}", "placement: cpu, start: 2027-01-02, end: 2027-01-01}", "end is not after start"),
        ("placement: cpu}", "placement: cpu, start: soon}", "schedules.weekly.start = 'soon'"),
        ("https://kfp", "https://somebody:secret@kfp", "holds a user or a password"),
        ("https://kfp", "ftp://kfp", "an endpoint is an http or https address"),
        ("train.steps: 5", "steps: 5", "cannot be named so"),
        ("owner: medu1", "owner: ''", "owner = ''"),
        ("owner: medu1", "owner: [", "is not usable YAML: line"),
    ],
)
def test_a_mistake_is_named_with_its_place(read, wrong, right, said):
    text = GOOD.replace(wrong, right, 1)
    assert text != GOOD
    assert said in refusal(read, text)


def test_a_secret_in_an_address_is_not_repeated(read):
    assert "hunter2" not in refusal(read, GOOD.replace("https://kfp", "https://somebody:hunter2@kfp"))


def test_a_file_that_is_absent_is_named(tmp_path):
    with pytest.raises(Stop, match=r"absent\.yaml cannot be read: No such file"):
        Schedules.read(tmp_path / "absent.yaml")


def test_an_unknown_environment_is_refused_with_the_nearest(read):
    with pytest.raises(Stop, match="no environment 'prod'; the nearest is production"):
        read(GOOD).environment("prod")


def test_the_environment_has_the_last_word_on_parameters():
    assert settings({"train.steps": 1, "train.seed": 2}, {"train.steps": 3}) == ["train.steps=3", "train.seed=2"]


@pytest.mark.parametrize("value", [1e-6, "1", "a: b", None, True, {"beta": 1e-6}, [1, "x"], ""])
def test_a_setting_is_read_back_as_it_was_written(value):
    import yaml

    (text,) = settings({"train.grpo": value})
    assert yaml.safe_load(text.partition("=")[2]) == value


def test_a_moment_without_an_offset_counts_in_the_zone_of_its_schedule():
    assert moment(datetime(2027, 1, 1), ZoneInfo("Asia/Tokyo")) == datetime(2026, 12, 31, 15, tzinfo=UTC)
    assert moment(datetime(2027, 1, 1, tzinfo=UTC), ZoneInfo("Asia/Tokyo")) == datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "six", "first"),
    [
        ("0 30 3 * * 1", "0 30 3 * * 1", "2026-11-30T03:30:00"),
        ("30 3 * * 1", "0 30 3 * * 1", "2026-11-30T03:30:00"),  # robfig/cron alone would read second 30, minute 3
        ("@weekly", "0 0 0 * * 0", "2026-11-29T00:00:00"),
        ("15 5/20 3 * * *", "15 5/20 3 * * *", "2026-11-28T03:05:15"),  # N/step runs to the end of the field
        ("0 0 3 ? DEC Mon-Fri", "0 0 3 ? DEC Mon-Fri", "2026-12-01T03:00:00"),
        ("0 0 3 1-1 * *", "0 0 3 1-1 * *", "2026-12-01T03:00:00"),  # one day; croniter alone reads the whole month
        ("0 0 3 */2 * 1", "0 0 3 */2 * 1", "2026-12-07T03:00:00"),  # a star on either side: both must hold
        ("0 0 3 13 * 5", "0 0 3 13 * 5", "2026-12-04T03:00:00"),  # no star: either suffices
        ("0 0 3 29 2 *", "0 0 3 29 2 *", "2028-02-29T03:00:00"),
    ],
)
def test_cron_is_read_as_the_endpoint_reads_it(written, six, first):
    cron = Cron.parse(written)
    assert str(cron) == six
    after = datetime(2026, 11, 27, 12, tzinfo=UTC)
    assert cron.next(after, ZoneInfo("UTC")) == datetime.fromisoformat(f"{first}+00:00")


@pytest.mark.parametrize(
    "written",
    [
        *("", "* * *", "1 2 3 4 5 6 7", "0 0 24 * * *", "60 0 3 * * *", "0 0 3 * * 7", "0 0 3 0 * *", "0 0 3 * 13 *"),
        *("0 0 3 L * *", "0 0 3 15W * *", "0 0 3 * * 1#2", "0 0 3 * * fri-mon", "0 0 3 5-2 * *", "0 0 H * * *"),
        *("0 0 3 */0 * *", "0 0 3 -1 * *", "0 0 3 1/2/3 * *", "0 0 3 , * *", "0 0 ٣ * * *", "0 0 3 * jan-x *"),
        *("@every 1h", "@reboot", "CRON_TZ=UTC 0 0 3 * * *", "TZ=UTC 0 3 * * *"),
        *("* * * * * *", "*/5 * * * * *", "0,30 0 3 * * *"),  # more than once a minute
        "0 0 3 30 2 *",  # never
    ],
)
def test_cron_that_the_endpoint_would_not_take_or_nobody_means_is_refused(written):
    with pytest.raises(ValueError, match='write "0 30 3'):
        Cron.parse(written)


@pytest.mark.parametrize(
    ("written", "here", "there", "moved"),
    [
        ("0 30 3 * * 1", "UTC", "Etc/UTC", "0 30 3 * * 1"),
        ("0 30 3 * * 1", "Europe/Zurich", "Europe/Berlin", "0 30 3 * * 1"),
        ("0 30 3 * * mon", "Asia/Tokyo", "UTC", "0 30 18 * * 0"),
        ("0 30 3 * * 1", "Asia/Kolkata", "UTC", "0 0 22 * * 0"),
        ("0 30 3 * * 1", "Europe/London", "Europe/Berlin", "0 30 4 * * 1"),
        ("0 30 12 1 * *", "Asia/Tokyo", "UTC", "0 30 3 1 * *"),
        ("0 0 */6 * * *", "Asia/Tokyo", "UTC", "0 0 3,9,15,21 * * *"),
        ("0 0,30 3,15 * * *", "Asia/Tokyo", "UTC", "0 0,30 6,18 * * *"),
    ],
)
def test_a_zone_at_a_constant_distance_is_moved_and_fires_at_the_same_instants(written, here, there, moved):
    cron, other = Cron.parse(written), Cron.parse(written).moved(ZoneInfo(here), ZoneInfo(there))
    assert str(other) == moved
    one = two = datetime(2026, 11, 27, 12, tzinfo=UTC)
    for _ in range(60):
        one, two = cron.next(one, ZoneInfo(here)), other.next(two, ZoneInfo(there))
        assert one == two


@pytest.mark.parametrize(
    ("written", "here", "reason"),
    [
        ("0 30 3 * * 1", "Europe/Zurich", "summer time"),
        ("0 30 3 1 * *", "Asia/Tokyo", "on the day before"),
        ("0 0 */6 * * 1", "Asia/Tokyo", "on the day before"),
        ("0 0,40 3 * * *", "Asia/Kolkata", "other minutes"),
    ],
)
def test_what_has_no_equal_in_the_zone_of_the_endpoint_is_refused_with_both_ways_out(written, here, reason):
    with pytest.raises(Stop) as stop:
        Cron.parse(written).moved(ZoneInfo(here), ZoneInfo("UTC"))
    assert reason in str(stop.value)
    assert "Write the schedule in UTC, or set the controller to" in str(stop.value)
