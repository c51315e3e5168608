"""Mixing: which question is drawn when. Shares hold in every prefix, passes miss no question, easy ones come first."""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from medu1.columns import Columns
from medu1.errors import Stop
from medu1.params import Mixture, Params, Train
from medu1.prepare.formats import table
from medu1.prepare.formats.row import reading
from medu1.question import Choice, Family, FreeText, Gold, Integer, Question
from medu1.train.curriculum import difficulties, order
from medu1.train.mixture import Plan, Stratum, check_sources, interleaved, planned, shares_of

SHIPPED = Params.read(yaml.safe_load((Path(__file__).parents[1] / "params.yaml").read_text(encoding="utf-8"))).train
PLAIN = Mixture(weights={}, balance="none", curriculum="none")
EASY_FIRST = PLAIN.model_copy(update={"curriculum": "easy_first"})
GOLDS: dict[Family, Gold] = {
    "choice": Choice(letter="A"),
    "open": FreeText(text="x"),
    "calculation": Integer(value=1),
}


def params(draws: int, mixture: Mixture = PLAIN, seed: int = 0) -> Train:
    return SHIPPED.model_copy(update={"steps": draws, "prompts_per_step": 1, "mixture": mixture, "seed": seed})


def asked(name: str, source: str = "own", family: Family = "calculation", **more: Any) -> Question:
    options = {"A": "one", "B": "two"} if family == "choice" else {}
    row = {"id": name, "source": source, "text": "What?", "gold": GOLDS[family], "options": options}
    return Question(**{**row, **more})


def stratum(size: int, source: str = "own", family: Family = "calculation") -> list[Question]:
    return [asked(f"{source}/{family}/{number}", source, family) for number in range(size)]


def sources(plan: Plan, draws: slice = slice(None)) -> Counter[str]:
    return Counter(plan.questions[place].source for place in plan.places[draws])


def ids(plan: Plan) -> list[str]:
    return [plan.questions[place].id for place in plan.places]


THREE = [*stratum(60, "large"), *stratum(30, "small", "choice"), *stratum(10, "small", "open")]


# The plan is fixed


def test_the_same_seed_draws_the_same_questions_and_another_seed_others() -> None:
    assert planned(THREE, params(80)) == planned(list(THREE), params(80))
    assert ids(planned(THREE, params(80))) != ids(planned(THREE, params(80, seed=1)))


def test_the_draws_are_the_same_on_every_machine_and_python() -> None:
    assert ids(planned(stratum(6), params(8))) == [f"own/calculation/{n}" for n in (3, 4, 0, 5, 1, 2, 1, 0)]


def test_a_plan_has_every_place_of_every_step() -> None:
    train = SHIPPED.model_copy(update={"steps": 7, "prompts_per_step": 5})
    assert len(planned(THREE, train).places) == 35


# Shares


@given(st.lists(st.integers(1, 500), min_size=1, max_size=8), st.integers(1, 300))
def test_every_prefix_is_less_than_one_draw_away_from_its_shares(sizes: list[int], draws: int) -> None:
    shares = {Stratum("open", str(number)): Fraction(size, sum(sizes)) for number, size in enumerate(sizes)}
    taken = dict.fromkeys(shares, 0)
    for place, turn in enumerate(interleaved(shares, draws), start=1):
        taken[turn] += 1
        assert all(abs(taken[each] - place * share) < 1 for each, share in shares.items())


WEIGHTS = st.dictionaries(st.sampled_from("abc"), st.floats(0, 1e6, allow_subnormal=False))


@given(st.lists(st.integers(1, 40), min_size=4, max_size=4), WEIGHTS, st.sampled_from(["none", "family"]))
def test_shares_are_of_one_whole_whatever_the_weights(
    sizes: list[int], weights: dict[str, float], balance: str
) -> None:
    strata = [Stratum("choice", "a"), Stratum("choice", "b"), Stratum("open", "b"), Stratum("open", "d")]
    mixture = Mixture.model_validate({**PLAIN.model_dump(), "weights": weights, "balance": balance})
    shares = shares_of(dict(zip(strata, sizes, strict=True)), mixture)
    assert sum(shares.values()) == 1
    assert shares.keys() == {each for each in strata if weights.get(each.source, 1) > 0}


def test_without_weights_every_question_has_the_same_chance() -> None:
    plan = planned(THREE, params(100))
    assert sorted(ids(plan)) == sorted(each.id for each in THREE)
    assert all(sources(plan, slice(start, start + 20))["large"] == 12 for start in range(0, 100, 20))


def test_a_weight_multiplies_the_chance_of_a_sources_questions() -> None:
    plan = planned(THREE, params(70, PLAIN.model_copy(update={"weights": {"large": 0.5}})))
    assert sources(plan) == {"large": 30, "small": 40}
    assert sources(plan, slice(35)) == {"large": 15, "small": 20}


def test_only_the_ratio_of_the_weights_counts() -> None:
    one, other = ({"large": 0.1, "small": 0.3}, {"large": 1, "small": 3})
    plans = [planned(THREE, params(90, PLAIN.model_copy(update={"weights": each}))) for each in (one, other)]
    assert plans[0] == plans[1]


def test_a_source_that_weighs_nothing_is_left_out() -> None:
    plan = planned(THREE, params(50, PLAIN.model_copy(update={"weights": {"large": 0.0}})))
    assert sources(plan) == {"small": 50}


def test_balanced_families_have_equal_shares_in_every_batch() -> None:
    plan = planned(THREE, params(90, PLAIN.model_copy(update={"balance": "family"})))
    for start in range(0, 90, 9):
        drawn = Counter(plan.questions[place].family for place in plan.places[start : start + 9])
        assert drawn == {"calculation": 3, "choice": 3, "open": 3}


def test_within_a_balanced_family_sources_share_by_size_and_weight() -> None:
    questions = [*stratum(30, "one", "open"), *stratum(10, "two", "open"), *stratum(5, "three")]
    mixture = Mixture(weights={"two": 6}, balance="family", curriculum="none")
    assert sources(planned(questions, params(60, mixture))) == {"one": 10, "two": 20, "three": 30}


def test_a_family_of_weightless_sources_takes_no_share() -> None:
    mixture = Mixture(weights={"large": 0}, balance="family", curriculum="none")
    drawn = planned(THREE, params(40, mixture)).counts()
    assert drawn == {
        Stratum("calculation", "large"): 0,
        Stratum("choice", "small"): 20,
        Stratum("open", "small"): 20,
    }


# Passes


@given(st.integers(1, 30), st.integers(1, 100), st.sampled_from([PLAIN, EASY_FIRST]), st.integers(0, 3))
def test_every_question_is_drawn_once_before_any_is_drawn_again(
    size: int, draws: int, mixture: Mixture, seed: int
) -> None:
    drawn = list(order(stratum(size), draws, mixture, seed))
    passes = [drawn[start : start + size] for start in range(0, draws, size)]
    assert len(drawn) == draws
    assert all(sorted(each) == list(range(size)) for each in passes[:-1])
    assert len(set(passes[-1])) == len(passes[-1])


def test_every_pass_has_an_order_of_its_own() -> None:
    drawn = list(order(stratum(20), 60, PLAIN, 0))
    assert all(one != other for one, other in pairwise([drawn[:20], drawn[20:40], drawn[40:]]))


def test_a_short_run_draws_from_everywhere() -> None:
    drawn = {place for seed in range(60) for place in order(stratum(20), 3, PLAIN, seed)}
    assert drawn == set(range(20))


# Curriculum


def graded(values: Iterable[float | None]) -> list[Question]:
    return [asked(f"q/{number}", difficulty=value) for number, value in enumerate(values)]


def climb(values: Sequence[float], draws: int, seed: int = 0) -> list[float]:
    """The difficulties in the order of the draws."""
    return [values[place] for place in order(graded(values), draws, EASY_FIRST, seed)]


def test_the_easiest_questions_come_first_and_each_pass_begins_anew() -> None:
    assert climb([3, 1, -2.5, 10], 8) == [-2.5, 1, 3, 10] * 2


@given(st.lists(st.integers(0, 9).map(float), min_size=1, max_size=40), st.integers(1, 40), st.integers(0, 3))
def test_a_pass_never_gets_easier(values: list[float], draws: int, seed: int) -> None:
    drawn = climb(values, min(draws, len(values)), seed)
    assert drawn == sorted(drawn)


def test_a_pass_of_few_draws_reaches_from_the_easiest_to_the_hardest_questions() -> None:
    values = [float(number) for number in range(100)]
    for seed in range(5):
        drawn = climb(values, 10, seed)
        assert [value // 10 for value in drawn] == list(range(10))
    assert climb(values, 10) != climb(values, 10, seed=1)
    assert [value // 50 for value in climb(values, 102)[-2:]] == [0, 1]


def test_questions_of_equal_difficulty_come_by_seed_and_pass() -> None:
    questions = graded([1.0] * 20)
    drawn = list(order(questions, 40, EASY_FIRST, 0))
    assert drawn[:20] != drawn[20:]
    assert drawn != list(order(questions, 40, EASY_FIRST, 1))


def test_without_a_curriculum_difficulty_orders_nothing() -> None:
    assert planned(graded(range(30)), params(30)).places == planned(graded([None] * 30), params(30)).places


def test_questions_without_a_difficulty_stand_in_the_middle_of_those_with_one() -> None:
    questions = graded([None, 8, 2, None, 4, 6])
    drawn = [questions[place].difficulty for place in order(questions, 6, EASY_FIRST, 0)]
    assert drawn == [2, 4, None, None, 6, 8]


def test_where_none_is_stated_the_prompts_words_stand_for_difficulty() -> None:
    long, short, middle = (asked(text, text=text) for text in ("a b c d?", "a?", "a b?"))
    assert list(order([long, short, middle], 3, EASY_FIRST, 0)) == [1, 2, 0]
    one, other = difficulties([short, middle])
    assert other == one + 1


def test_a_sources_scale_is_not_held_against_anothers() -> None:
    """Percentages beside grades: every source climbs on its own from the run's begin to its end."""
    grades = [asked(f"g/{n}", "grades", difficulty=n % 5) for n in range(20)]
    percentages = [asked(f"p/{n}", "percentages", difficulty=5 * n) for n in range(20)]
    plan = planned([*grades, *percentages], params(40, EASY_FIRST))
    drawn = [plan.questions[place] for place in plan.places]
    for source in ("grades", "percentages"):
        climbed = [each.difficulty or 0 for each in drawn if each.source == source]
        assert climbed == sorted(climbed)
    assert Counter(each.source for each in drawn[:10]) == {"grades": 5, "percentages": 5}


# Wrong parameters


def test_an_unknown_source_is_a_stop_that_names_the_nearest() -> None:
    with pytest.raises(Stop, match=r"weights names lrge; the nearest source with training questions is large\."):
        check_sources({"lrge": 1.0}, THREE)
    check_sources({"large": 1.0, "small": 0.0}, THREE)


def test_weights_that_leave_nothing_are_a_stop() -> None:
    with pytest.raises(Stop, match=r"gives every source the weight 0\. .* are of large, small\. Give one of them"):
        planned(THREE, params(10, PLAIN.model_copy(update={"weights": {"large": 0.0, "small": 0.0}})))


@pytest.mark.parametrize("weight", [-1, float("inf"), float("nan")])
def test_a_weight_below_zero_or_without_end_is_refused(weight: float) -> None:
    with pytest.raises(ValidationError, match=r"weights\.own"):
        Mixture.model_validate({**PLAIN.model_dump(), "weights": {"own": weight}})


# What a person sees


def test_a_plan_says_in_a_line_what_it_draws() -> None:
    plan = planned(THREE, params(100))
    assert plan.summary() == "100 draws: calculation 60, choice 30, open 10; large 60, small 40"
    assert plan.metrics() == {
        "mixture/calculation/large": 0.6,
        "mixture/choice/small": 0.3,
        "mixture/open/small": 0.1,
    }


def test_a_plan_of_many_sources_names_the_most_drawn() -> None:
    questions = [each for size in range(1, 11) for each in stratum(size, f"s{size}")]
    assert planned(questions, params(55)).summary() == (
        "55 draws: calculation 55; s10 10, s9 9, s8 8, s7 7, s6 6, s5 5, s4 4, s3 3, 2 other sources 3"
    )


# Difficulty as a question states it


def test_a_question_without_a_difficulty_keeps_its_canonical_line() -> None:
    assert asked("q").canonical() == (
        '{"gold": {"kind": "integer", "value": 1}, "id": "q", "source": "own", "text": "What?"}'
    )


@pytest.mark.parametrize("difficulty", [0.0, -1.5, 3.0])
def test_a_stated_difficulty_is_part_of_the_canonical_line(difficulty: float) -> None:
    question = asked("q", difficulty=difficulty)
    assert json.loads(question.canonical())["difficulty"] == difficulty
    assert Question.model_validate_json(question.canonical()) == question


COLUMNS = Columns(
    source="own", licence="CC0-1.0", access="open", citation="Ours.", text="ask", gold="right", kind="integer"
)
RATED = COLUMNS.model_copy(update={"difficulty": "hard"})


def read(path: Path, columns: Columns = RATED) -> list[float | None]:
    found = reading(table.questions(path, columns, None))
    assert found.malformed == []
    return [row.question.difficulty for row in found.asked]


def as_lines(path: Path, cells: Sequence[object]) -> Path:
    rows = [{"ask": f"What is {number}?", "right": number, "hard": cell} for number, cell in enumerate(cells)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_table_states_difficulty_in_a_column_of_its_own(tmp_path: Path) -> None:
    path = as_lines(tmp_path / "t.jsonl", [2, "0.5", 0, None, "", " "])
    assert read(path) == [2.0, 0.5, 0.0, None, None, None]
    assert read(path, COLUMNS) == [None] * 6


def test_a_blank_cell_of_csv_or_parquet_states_no_difficulty(tmp_path: Path) -> None:
    with (tmp_path / "t.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("ask", "right", "hard"), ("What?", "1", "3"), ("Which?", "2", "")])
    rows = [{"ask": "What?", "right": 1, "hard": 3.0}, {"ask": "Which?", "right": 2, "hard": float("nan")}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    assert read(tmp_path / "t.csv") == read(tmp_path / "t.parquet") == [3.0, None]


@pytest.mark.parametrize("cell", ["hard", True, "inf", [1]])
def test_a_difficulty_that_is_no_number_is_named_by_line_and_field(tmp_path: Path, cell: object) -> None:
    (found,) = reading(table.questions(as_lines(tmp_path / "t.jsonl", [cell]), RATED, None)).malformed
    assert (found.place, found.field) == ("line 1", "hard")
