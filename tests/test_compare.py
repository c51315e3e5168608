"""Two versions are compared on the verdicts that are stored, and only where these can be compared."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from compared import SETS, answer, answers, digest, evaluation, version
from medu1 import record
from medu1.errors import Stop
from medu1.evaluate import comparison, comparison_page, evidence
from medu1.evaluate.comparison import Asked, Compared
from medu1.evaluate.statistics import mcnemar, paired_test, wilson
from medu1.stage import Output
from medu1.tracking import Tracking
from medu1.workspace import Workspace
from pipelines import cli, comparing

BASE = ("b" * 64, answers("----"))
FIRST = ("1" * 64, answers("+---"))
SECOND = ("2" * 64, answers("-++-", "+++-", "++"))


@pytest.fixture
def workspace(tracked_home: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    workspace = Workspace(home=tracked_home, run="one", tracking_uri=f"sqlite:///{tracked_home / 'mlflow.db'}")
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    for key, value in workspace.environment().items():
        monkeypatch.setenv(key, value)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    return workspace


@pytest.fixture
def tracking(workspace: Workspace) -> Tracking:
    return Tracking(workspace)


def own(number: str, model: tuple[str, Any], **changes: Any) -> Asked:
    """A version with an evaluation of its own, where it is the candidate."""
    output = evaluation({"base": BASE, "candidate": model}, **changes)
    return Asked(f"version {number}", model[0], evidence.read(output.folder, f"version {number}", digest(output)))


def line(compared: Compared, set_: str = "test", slice_: str = "all", name: str = "all") -> comparison.Line:
    return next(each for each in compared.lines if (each.set, each.slice, each.name) == (set_, slice_, name))


def run(home: Path, *words: str) -> Result:
    return CliRunner().invoke(cli.app, [*words, "--home", str(home)])


def stopped(result: Result) -> str:
    assert isinstance(result.exception, Stop), result.output
    return str(result.exception)


# Figures


def test_each_is_read_as_the_candidate_of_its_own_evaluation(workspace: Workspace) -> None:
    compared = comparison.compared(own("1", FIRST), own("2", SECOND))
    assert (compared.before.judged_as, compared.after.judged_as) == ("candidate", "candidate")
    assert (compared.before.weights, compared.after.weights) == (FIRST[0], SECOND[0])
    whole = line(compared)
    assert whole.before
    assert whole.after
    assert whole.paired
    assert (whole.before.correct, whole.after.correct, whole.paired.n) == (3, 5, 8)
    assert (whole.paired.gained, whole.paired.lost) == (3, 1)


def test_the_figures_are_those_of_the_statistics_on_the_paired_questions(workspace: Workspace) -> None:
    whole = line(comparison.compared(own("1", FIRST), own("2", SECOND))).paired
    before = [True, False, False, False, True, True, False, False]
    after = [False, True, True, False, True, True, True, False]
    groups = [row.group for row in FIRST[1] if row.split == "test"]
    expected = paired_test(before, after, groups, 0.95)
    assert whole
    assert (whole.difference, whole.low, whole.high) == (expected.difference, *expected.interval)
    assert whole.p == mcnemar(3, 1)


def test_accuracies_have_wilsons_intervals_by_set_family_and_source(workspace: Workspace) -> None:
    compared = comparison.compared(own("1", FIRST), own("2", SECOND))
    found = {(each.set, each.slice, each.name) for each in compared.lines}
    assert {("test", "family", "open"), ("test", "source", "cards"), ("ood", "source", "odd")} <= found
    cards = line(compared, "test", "source", "cards").after
    assert cards
    assert (cards.low, cards.high) == tuple(wilson(2, 4, 0.95))


def test_sources_are_corrected_together(workspace: Workspace) -> None:
    many = answers("++++++++", "++++++++"), answers("--------", "++++++++")
    compared = comparison.compared(own("1", ("1", many[1])), own("2", ("2", many[0])))
    cards = line(compared, "test", "source", "cards").paired
    assert cards
    assert cards.p_holm == 2 * cards.p == 2 * mcnemar(8, 0)


def test_questions_are_paired_by_id_whatever_their_order(workspace: Workspace) -> None:
    turned = own("2", (SECOND[0], SECOND[1][::-1]))
    straight = comparison.compared(own("1", FIRST), own("2", SECOND))
    assert line(comparison.compared(own("1", FIRST), turned)).paired == line(straight).paired


def test_an_unscorable_question_is_no_pair(workspace: Workspace) -> None:
    whole = line(comparison.compared(own("1", ("1", answers("?---"))), own("2", SECOND)))
    assert whole.paired
    assert whole.before
    assert (whole.paired.n, whole.before.unscorable) == (7, 1)


def test_a_version_against_itself_differs_nowhere(workspace: Workspace) -> None:
    compared = comparison.compared(own("1", FIRST), own("1", FIRST))
    whole = line(compared).paired
    assert whole
    assert (whole.difference, whole.gained, whole.lost, whole.p) == (0.0, 0, 0, 1.0)
    assert compared.changed == ()
    assert compared.notes == ("Both are the same weights.",)


def test_an_evaluation_that_judged_both_is_read_for_both(workspace: Workspace) -> None:
    """The second was judged against the first, as champion: equal batches, and no protocol to compare."""
    output = evaluation({"base": BASE, "champion": ("1" * 64, answers("++--")), "candidate": SECOND})
    second = Asked("version 2", SECOND[0], evidence.read(output.folder, "version 2"))
    compared = comparison.compared(own("1", FIRST, batch=99), second)
    assert (compared.before.judged_as, compared.before.evaluation) == ("champion", digest(output))
    whole = line(compared).before
    assert whole
    assert whole.correct == 4


def test_the_base_is_that_of_the_others_evaluation(workspace: Workspace) -> None:
    second = own("2", SECOND)
    compared = comparison.compared(Asked("base", "", second.evidence), second)
    assert (compared.before.judged_as, compared.before.weights) == ("base", BASE[0])


def test_changes_are_gains_losses_and_other_wrong_answers(workspace: Workspace) -> None:
    other = [answer(0, False, answer="milk"), *answers("+---")[1:]]
    compared = comparison.compared(own("1", ("1", answers("-+--"))), own("2", ("2", [*other])))
    assert [(each.change, each.after.question_id) for each in compared.changed] == [
        ("flipped", "cards/0"),
        ("lost", "cards/1"),
    ]


# What cannot be compared


def test_other_questions_stop_and_both_digests_are_named(workspace: Workspace) -> None:
    other = {**SETS, "test/sums": "d" * 64}
    with pytest.raises(Stop, match=r"other questions: frozen .*test/sums is 555555555555 and dddddddddddd") as error:
        comparison.compared(own("1", FIRST), own("2", SECOND, sets=other))
    assert record.digest(SETS)[:12] in str(error.value)
    assert record.digest(other)[:12] in str(error.value)
    assert "medu1 reproduce" in str(error.value)


def test_a_set_that_only_one_was_judged_on_is_left_out_and_told(workspace: Workspace) -> None:
    fewer = {name: digest for name, digest in SETS.items() if name != "test/sums"}
    compared = comparison.compared(own("1", FIRST), own("2", SECOND, sets=fewer))
    whole = line(compared).paired
    assert whole
    assert whole.n == 4
    assert compared.notes == ("Left out, since only version 1 was judged on them: test/sums.",)


def test_no_test_set_in_common_stops(workspace: Workspace) -> None:
    with pytest.raises(Stop, match="no test set in common"):
        comparison.compared(own("1", FIRST), own("2", SECOND, sets={"test/new": "9" * 64, "ood/odd": "0" * 64}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batch": 9}, "another decoding: .* and .* \\(batch 8 and 9\\)"),
        ({"max_completion_tokens": 40}, "max_completion_tokens 80 and 40"),
        ({"protocol": {"backend": "transformers", "strategy": "role_panel"}}, "strategy 'method' and 'role_panel'"),
        ({"scoring": {"preset": "paper"}}, "another grader's settings: .*preset 'recommended' and 'paper'"),
        ({"code": "other"}, "judged by the sources code, version 2 by other"),
    ],
)
@pytest.mark.parametrize("allow_skew", [False, True])
def test_another_protocol_stops(changes: dict[str, Any], said: str, allow_skew: bool, workspace: Workspace) -> None:
    pair = own("1", FIRST), own("2", SECOND, **changes)
    if allow_skew and "code" in changes:
        assert "a difference can come from that" in comparison.compared(*pair, allow_skew=True).notes[0]
        return
    with pytest.raises(Stop, match=said):
        comparison.compared(*pair, allow_skew=allow_skew)


def test_equal_digests_of_decoder_and_grader_outweigh_other_sources_of_the_step(workspace: Workspace) -> None:
    facts = {"decoding": "d", "grader": "g"}
    pair = own("1", FIRST, facts=facts), own("2", SECOND, facts=facts, code="other")
    assert comparison.compared(*pair).notes == ()
    with pytest.raises(Stop, match="another grader or decoder"):
        comparison.compared(pair[0], own("2", SECOND, facts={**facts, "grader": "h"}, code="other"))


def test_verdicts_that_lack_a_question_stop(workspace: Workspace) -> None:
    with pytest.raises(Stop, match="1 test questions, such as cards/0, have a verdict of only one"):
        comparison.compared(own("1", FIRST), own("2", (SECOND[0], SECOND[1][1:])))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("report.json", b"builtin", b"builtim"),
        ("verdicts.parquet", b"cards", b"carts"),
        ("record.json", b'"report.json"', b'"report.jsom"'),
        ("record.json", b"{", b"["),
    ],
)
def test_a_changed_file_of_the_evidence_stops(name: str, old: bytes, new: bytes, workspace: Workspace) -> None:
    output = evaluation({"base": BASE, "candidate": FIRST})
    path = output.folder / name
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(Stop, match="The stored evaluation of version 1 cannot be used"):
        evidence.read(output.folder, "version 1", digest(output))


def test_evidence_of_another_evaluation_than_the_registered_one_stops(workspace: Workspace) -> None:
    output = evaluation({"base": BASE, "candidate": FIRST})
    with pytest.raises(Stop, match="registered is e1"):
        evidence.read(output.folder, "version 1", "e1")


def test_an_evaluation_of_other_weights_stops(workspace: Workspace) -> None:
    with pytest.raises(Stop, match="has no verdicts of version 1"):
        comparison.compared(own("1", FIRST)._replace(weights="9" * 64), own("2", SECOND))


def test_a_report_of_another_age_is_read_for_what_is_needed(workspace: Workspace) -> None:
    output = evaluation({"base": BASE, "candidate": FIRST}, added={"later": 1})
    assert evidence.read(output.folder, "version 1").report.batch == 8


# The page


def test_the_page_escapes_what_models_and_data_say(workspace: Workspace) -> None:
    attack = "</pre><script>alert(1)</script><img src=x onerror=alert(1)>"
    hostile = [row.model_copy(update={"completion": attack, "gold": attack}) for row in SECOND[1]]
    compared = comparison.compared(own("1", FIRST), own("2", (SECOND[0], hostile)))
    page = comparison_page.render(compared, {"cards/1": attack})
    assert "<script" not in page
    assert not re.search(r"<img(?! alt=)", page)
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 3


def test_the_page_is_one_file_with_plots_and_the_questions_that_differ(workspace: Workspace) -> None:
    page = comparison_page.render(comparison.compared(own("1", FIRST), own("2", SECOND)), {"cards/1": "Which drug?"})
    assert page.count("data:image/svg+xml;base64,") == 2
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert "Gained: wrong before, right now" in page
    assert "Which drug?" in page
    assert "<code>cards/2</code>; its text is not in the store" in page


# The command


@pytest.fixture
def two(tracking: Tracking) -> tuple[Output, Output]:
    outputs = evaluation({"base": BASE, "candidate": FIRST}), evaluation({"base": BASE, "candidate": SECOND})
    for (weights, _), output in zip((FIRST, SECOND), outputs, strict=True):
        version(tracking, weights, output)
    tracking.client.set_registered_model_alias("medu1", "champion", "1")
    tracking.client.set_registered_model_alias("medu1", "challenger", "2")
    return outputs


def test_the_command_prints_a_table_and_writes_a_page(two: tuple[Output, Output], workspace: Workspace) -> None:
    done = run(workspace.home, "compare", "champion", "challenger")
    assert done.exit_code == 0, done.exception
    assert "test: cards" in done.output
    assert "+25.0" in done.output
    page = workspace.home / "comparisons" / "medu1-1-2.html"
    assert str(page) in done.output
    assert "version 2 against version 1" in page.read_text(encoding="utf-8")


def test_the_command_prints_json(two: tuple[Output, Output], workspace: Workspace, tmp_path: Path) -> None:
    done = run(workspace.home, "compare", "1", "2", "--json", "--out", str(tmp_path / "sub" / "page.html"))
    told = json.loads(done.output)
    whole = next(each for each in told["lines"] if (each["set"], each["slice"]) == ("test", "all"))
    assert (whole["before"]["accuracy"], whole["after"]["accuracy"]) == (3 / 8, 5 / 8)
    assert whole["paired"]["difference"] == 0.25
    assert "role" not in whole["before"]
    assert {each["change"] for each in told["changed"]} == {"gained", "lost"}
    assert Path(told["page"]).is_file()


def test_nothing_in_the_registry_changes(two: tuple[Output, Output], tracking: Tracking) -> None:
    before = [dict(each.tags) for each in tracking.models.versions("medu1")], tracking.models.aliases("medu1")
    run(tracking.workspace.home, "compare", "1", "2")
    assert ([dict(each.tags) for each in tracking.models.versions("medu1")], tracking.models.aliases("medu1")) == before


def without_store(home: Path) -> None:
    shutil.rmtree(home / "store" / "evaluate")


@pytest.mark.parametrize("lost", [without_store, lambda home: None])
def test_verdicts_that_the_store_lacks_or_no_tag_names_come_from_mlflow(
    lost: Callable[[Path], None], tracking: Tracking
) -> None:
    for weights, rows in (FIRST, SECOND):
        version(tracking, weights, evaluation({"base": BASE, "candidate": (weights, rows)}), key=lost is without_store)
    lost(tracking.workspace.home)
    drawn = comparing.compare(tracking, "medu1", "1", "2", None, False)
    whole = line(drawn.compared).paired
    assert whole
    assert whole.gained == 3


def test_a_version_without_stored_verdicts_stops(two: tuple[Output, Output], tracking: Tracking) -> None:
    version(tracking, "3" * 64, None)
    assert "Version 3 of medu1 has no stored verdicts" in stopped(run(tracking.workspace.home, "compare", "1", "3"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("1", "7"), "has no version '7'"),
        (("1", "champoin"), "has no alias 'champoin'; did you mean champion"),
        (("base", "base"), "no two models"),
        (("1", "2", "--name", "other"), "The registry has no version of other"),
        (("1", "2", "--out", "/proc/none/page.html"), "cannot be written"),
    ],
)
def test_what_is_not_there_stops(words: tuple[str, ...], said: str, two: object, workspace: Workspace) -> None:
    assert said in stopped(run(workspace.home, "compare", *words))


def test_an_empty_home_stops_and_stays_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert "is empty" in stopped(run(tmp_path / "none", "compare", "1", "2"))
    assert not (tmp_path / "none").exists()
