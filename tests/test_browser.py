"""What a person sees in a browser: the runs, compared and drawn, the registered model, the report.

The pages are those of the real tracking server after two real runs of the chain; images of them are kept.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

import chromium
from chromium import Browser
from medu1.tracking import STEP, Tracking
from medu1.workspace import Workspace
from services import READER, STEPS, Served, absent
from test_report import read

pytestmark = pytest.mark.services

Opened = Callable[[], AbstractContextManager[Browser]]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """Opens a browser that nobody signed in with."""
    found = chromium.programs()
    if found is None:
        absent("Chromium or its driver", "chromium chromium-driver")
    return lambda: chromium.browser(found, tmp_path_factory.mktemp("profile"))


@pytest.fixture(scope="module")
def window(opened: Opened, served: Served) -> Iterator[Browser]:
    """A browser in which a user who may only read has signed in."""
    services = served.services
    with opened() as found:
        address = services.server.uri.removeprefix("http://")
        found.open(f"http://{READER}:{services.passwords[READER]}@{address}/")
        found.open(services.server.uri + "/#/experiments")
        found.click("//*[@data-component-id='mlflow.assistant.chat_panel.close']")  # it hides what is behind it
        yield found


class Runs:
    """The runs of the chain by step, as ids, and the addresses of their pages."""

    def __init__(self, served: Served, run: str) -> None:
        tracking = Tracking(Workspace(home=served.home, run=run, tracking_uri=served.services.server.uri))
        tree = tracking.tree()
        self.experiment = f"{served.services.server.uri}/#/experiments/{tree[0].info.experiment_id}/runs"
        self.steps = {each.data.tags[STEP]: str(each.info.run_id) for each in tree if STEP in each.data.tags}
        (self.parent,) = (str(each.info.run_id) for each in tree if STEP not in each.data.tags)

    def page(self, step: str, tab: str = "") -> str:
        return f"{self.experiment}/{self.steps[step]}/{tab}"


@pytest.fixture(scope="module")
def runs(served: Served) -> tuple[Runs, Runs]:
    """Of the first and of the second run."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in served.services.environment(READER).items():
            patch.setenv(name, value)
        return Runs(served, served.first["run"]), Runs(served, served.second["run"])


def row(run: str) -> str:
    """The XPath of a run's row in the list."""
    return f"//*[@role='row'][@row-id='{run}']"


def test_without_a_password_the_server_shows_nothing(opened: Opened, served: Served) -> None:
    with opened() as stranger:
        stranger.open(f"{served.services.server.uri}/#/models/medu1")
        assert [error for error in stranger.errors() if "401" in error]
        assert stranger.driver.find_element("tag name", "body").text == ""


def test_the_list_shows_the_runs_as_trees(window: Browser, runs: tuple[Runs, Runs], served: Served) -> None:
    window.open(runs[0].experiment)
    for ran, found in zip((served.first["run"], served.second["run"]), runs, strict=True):
        assert ran in window.found(f"{row(found.parent)}//a[contains(@href, '/runs/')]").get_attribute("textContent")
    unfold(window, runs[0])
    for step in ("prepare", "train", "evaluate", "decide", "register"):
        assert window.found(f"{row(runs[0].steps[step])}//a[contains(@href, '/runs/')]").text == step
    window.kept("runs")


def test_two_trainings_are_compared(window: Browser, runs: tuple[Runs, Runs]) -> None:
    window.open("about:blank")
    window.open(runs[0].experiment)
    for each in runs:
        unfold(window, each)
        window.click(f"{row(each.steps['train'])}//*[contains(@class, 'ag-checkbox-input-wrapper')]")
    window.click("//*[@data-testid='runs-compare-button']")
    window.seen("Comparing 2 Runs")
    window.kept("compared")
    parameter = window.found("//tr[*[normalize-space(.)='train.steps']]")
    assert sorted(parameter.text.split()) == [*(str(steps) for steps in STEPS), "train.steps"]
    scrolled(window, parameter)
    window.kept("compared-parameters")
    scrolled(window, window.found("//*[starts-with(normalize-space(text()), 'alarm/')]"))  # the first of its metrics
    window.kept("compared-metrics")


def test_the_training_is_drawn_step_by_step(window: Browser, runs: tuple[Runs, Runs]) -> None:
    window.open(runs[1].page("train", "model-metrics"))
    window.found("//input[contains(@placeholder, 'metric charts')]").send_keys("reward")
    chart = "//*[@data-testid='experiment-view-compare-runs-card'][.//*[normalize-space(text())='reward']]"
    points = f"{chart}//*[name()='path'][@class='point']"
    window.until(lambda driver: len(driver.find_elements("xpath", points)) == STEPS[1], "a point a step")
    window.kept("training")


def test_the_registered_model_shows_its_versions_and_aliases(window: Browser, served: Served) -> None:
    models = f"{served.services.server.uri}/#/models"
    window.open(f"{models}/medu1")
    window.seen("Version 1")
    window.seen("Version 2")
    window.seen("champion")
    window.kept("model")
    window.open(f"{models}/medu1/versions/1")
    window.seen("medu1.weights")
    window.kept("version")


def test_the_report_is_shown_among_the_artifacts(window: Browser, runs: tuple[Runs, Runs], served: Served) -> None:
    window.open(Path(served.first["report"]).as_uri())
    headline = window.found("//h1").text
    window.open(f"{runs[0].experiment}/{runs[0].parent}/artifacts/report.html")
    with window.frame():
        assert window.found("//h1").text == headline
        assert window.seen("Decision: register").is_displayed()
        assert window.found("//table").is_displayed()
    window.kept("report-in-mlflow")


def test_the_report_alone_asks_for_nothing_and_has_no_error(opened: Opened, served: Served) -> None:
    with opened() as alone:
        alone.open("about:blank")
        alone.errors(), alone.requests()
        address = Path(served.first["report"]).as_uri()
        alone.open(address)
        assert alone.found("//h1").text
        asked = [each for each in alone.requests() if not each.startswith(("data:", "chrome:", "chrome-untrusted:"))]
        assert asked == [address]
        assert alone.errors() == []
        alone.kept("report")


def test_hostile_text_in_a_report_is_shown_and_does_nothing(opened: Opened, tmp_path: Path) -> None:
    """Its scripts and handlers would open a dialogue; a page of ours does, so that it would be seen."""
    with opened() as alone:
        (tmp_path / "dialogue.html").write_text("<script>setTimeout(() => alert(1))</script>", encoding="utf-8")
        alone.open((tmp_path / "dialogue.html").as_uri())
        alone.until(lambda _: alone.is_alerted(), "the dialogue")
        alone.driver.switch_to.alert.accept()
        report = tmp_path / "report.html"
        report.write_text(read()[1], encoding="utf-8")
        alone.requests()
        alone.open(report.as_uri())
        assert "<script>alert(1)</script>" in alone.driver.find_element("tag name", "body").get_property("textContent")
        assert not alone.is_alerted()
        asked = [each for each in alone.requests() if not each.startswith("data:")]
        assert asked == [report.as_uri()]
        alone.kept("report-of-hostile-text")


def unfold(window: Browser, runs: Runs) -> None:
    """Show a run's steps below it; the list remembers what was unfolded."""
    window.found(row(runs.parent))
    if not window.driver.find_elements("xpath", row(runs.steps["train"])):
        window.click(f"{row(runs.parent)}//button[contains(@data-component-id, 'runnamecellrenderer')]")
    window.found(row(runs.steps["train"]))


def scrolled(window: Browser, element: object) -> None:
    window.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
