"""What suites ask, and the driver that asks it: stored whole, gone on with after a kill, asked once."""

import os
import signal
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import permutations
from math import factorial
from pathlib import Path
from typing import Any

import pytest

from medu1 import journal, record
from medu1.errors import Stop
from medu1.evaluate import evaluation, partial, verdicts
from medu1.evaluate.asking import Asking, Sheet, plain
from medu1.evaluate.evaluation import Bench, Cases, Subject
from medu1.evaluate.orders import permuted
from medu1.evaluate.suites import asked, sheets
from medu1.evaluate.verdicts import JudgedAnswer
from medu1.generation import backends
from medu1.generation.backend import Conversation, Decoding, Progress, Reply, silent
from medu1.judging import Evaluate
from medu1.prompt import user_text
from medu1.question import Choice, FreeText, Question
from medu1.scoring.grading import DEFAULT_SCORING
from medu1.stage import Stage
from medu1.suite import Compared, Lengths, Permuted, Reasoning, Sampled, Suite
from medu1.workspace import Workspace

LENGTHS = Lengths(kind="length", split="test", questions=3, tokens=(20, 40), mode="at_most")
ORDERS = Permuted(kind="permuted", split="test", questions=5, orders=4)
SAMPLES = Sampled(kind="sampled", split="test", questions=3, samples=4, temperature=1.0)
STRATEGIES = Compared(kind="strategies", split="test", questions=3, names=("method", "direct", "method"))
PARAMS: dict[str, Any] = {
    "backend": "transformers",
    "endpoint": {"url": "", "model": "{weights}", "concurrency": 1, "timeout": 1},
    "strategy": "method",
    "reasoning": Reasoning(similar_cases=1, experts=1, specialists=1, rounds=1).model_dump(),
    "suites": {},
    "max_completion_tokens": 50,
    "batch": 2,
    "confidence": 0.95,
    "completions_shown": 1,
}


def choice(number: int, *texts: str) -> Question:
    options = dict(zip("ABCDEFGHIJ", texts or ("one", "two", "three", "four"), strict=False))
    text = f"Question {number}{'?' * (number % 7)}"  # of several lengths
    return Question(id=f"c{number}", source="s", text=text, options=options, gold=Choice(letter="B"))


def free(number: int) -> Question:
    return Question(id=f"f{number}", source="s", text=f"Open {number}?", gold=FreeText(text="aspirin"))


QUESTIONS = [choice(1), free(2), choice(3), free(4), choice(5), free(6), choice(7), free(8)]


def ids(found: Sequence[Sheet]) -> list[str]:
    """The questions of the sheets, each once, in order."""
    return list(dict.fromkeys(asking.question.id for sheet in found for asking in sheet.askings))


def test_a_suite_asks_the_same_questions_whatever_it_is_called_and_does_with_them() -> None:
    chosen = ids(sheets("one", LENGTHS, QUESTIONS))
    assert len(chosen) == 3
    assert chosen == ids(sheets("other", SAMPLES, QUESTIONS)) == ids(sheets("third", STRATEGIES, QUESTIONS))
    assert chosen == [question.id for question in QUESTIONS if question.id in chosen]  # in the split's order
    (one,), (other,) = sheets("one", LENGTHS, QUESTIONS), sheets("other", LENGTHS, QUESTIONS)
    assert one.digest() == other.digest()


def test_the_choice_of_questions_is_by_hash_and_a_larger_suite_keeps_a_smaller_ones() -> None:
    by_hash = sorted(QUESTIONS, key=lambda question: sha256(question.id.encode()).hexdigest())
    for size in range(1, 9):
        found = ids(sheets("s", LENGTHS.model_copy(update={"questions": size}), QUESTIONS))
        assert set(found) == {question.id for question in by_hash[:size]}
    assert set(ids(sheets("s", LENGTHS, QUESTIONS[::-1]))) == set(ids(sheets("s", LENGTHS, QUESTIONS)))


def test_more_questions_than_there_are_asks_all() -> None:
    assert len(ids(sheets("s", LENGTHS.model_copy(update={"questions": 100}), QUESTIONS))) == len(QUESTIONS)


def test_every_question_is_asked_under_every_budget_in_its_prompt() -> None:
    (sheet,) = sheets("s", LENGTHS.model_copy(update={"tokens": (20, 40, 20)}), QUESTIONS)
    assert [(asking.variant, asking.budget and asking.budget.tokens) for asking in sheet.askings] == [
        *[("20", 20)] * 3,
        *[("40", 40)] * 3,
    ]
    assert all(
        str(asking.conversation[-1]["content"]).endswith(f"Think for maximum {asking.variant} tokens.")
        for asking in sheet.askings
    )


def test_a_permuted_suite_asks_choice_questions_only_each_in_its_own_order_first() -> None:
    (sheet,) = sheets("s", ORDERS, QUESTIONS)
    assert len(sheet.askings) == 4 * 4
    by_question = [sheet.askings[start : start + 4] for start in range(0, 16, 4)]
    for first, *others in by_question:
        assert first.question in QUESTIONS
        assert first.variant == "ABCD"
        assert len({asking.variant for asking in others} | {"ABCD"}) == 4


def test_the_gold_letter_follows_its_option_and_nothing_else_changes() -> None:
    question = choice(1)
    for order, put in permuted(question, 24):
        assert isinstance(put.gold, Choice)
        assert put.options[put.gold.letter] == "two"
        assert [put.options[shown] for shown in "ABCD"] == [question.options[own] for own in order]
        assert list(put.options) == sorted(put.options)
        assert put.model_copy(update={"options": question.options, "gold": question.gold}) == question
        assert Question.model_validate(put.model_dump()) == put


def test_rotations_come_first_so_that_the_gold_meets_every_letter() -> None:
    for number in range(20):
        golds = [put.gold.letter for _, put in permuted(choice(number), 4) if isinstance(put.gold, Choice)]
        assert sorted(golds) == list("ABCD")


@pytest.mark.parametrize(
    ("texts", "orders", "found"),
    [
        (("yes", "no"), 24, 2),
        (("yes", "no", "maybe"), 24, 6),
        (("yes", "no", "maybe"), 4, 4),
        (("a", "b", "c", "d"), 24, 24),
        (tuple("abcdefghij"), 24, 24),
        (("same", "same"), 4, 1),
        (("same", "same", "other"), 24, 3),
        (("same", "same", "other", "other"), 24, 6),
    ],
)
def test_a_question_with_fewer_distinct_orders_gets_fewer(texts: tuple[str, ...], orders: int, found: int) -> None:
    made = permuted(choice(1, *texts), orders)
    assert len(made) == found <= factorial(len(texts))
    assert len({user_text(put) for _, put in made}) == found


def test_all_orders_of_four_options_are_all_permutations() -> None:
    assert {order for order, _ in permuted(choice(1), 24)} == {"".join(order) for order in permutations("ABCD")}


def test_the_orders_drawn_are_the_same_on_every_machine() -> None:
    """These very orders: a change of them is a change of what models are asked."""
    four, five = (
        ["ABCD", "CDAB", "DABC", "BCDA", "DBAC", "DCBA"],
        ["ABCDE", "CDEAB", "DEABC", "EABCD", "BCDEA", "CAEBD"],
    )
    assert [order for order, _ in permuted(choice(1), 6)] == four
    assert [order for order, _ in permuted(choice(2, *"abcde"), 6)] == five


def test_a_sampled_suite_asks_the_same_thing_several_times() -> None:
    (sheet,) = sheets("s", SAMPLES, QUESTIONS)
    assert sheet.temperature == 1.0
    assert [asking.variant for asking in sheet.askings[:4]] == ["1", "2", "3", "4"]
    assert len({user_text(asking.question) for asking in sheet.askings[:4]}) == 1


def test_strategies_are_a_sheet_each_and_one_named_twice_is_asked_once() -> None:
    found = sheets("s", STRATEGIES, QUESTIONS)
    assert [sheet.strategy for sheet in found] == ["method", "direct"]
    assert [{asking.variant for asking in sheet.askings} for sheet in found] == [{"method"}, {"direct"}]


@pytest.mark.parametrize(
    ("suite", "questions", "fact"),
    [
        (LENGTHS, [], "The suite evaluate.suites.mine is empty: the split test has no questions."),
        (SAMPLES, [], "The suite evaluate.suites.mine is empty: the split test has no questions."),
        (STRATEGIES, [], "The suite evaluate.suites.mine is empty: the split test has no questions."),
        (ORDERS, [free(1)], "The suite evaluate.suites.mine is empty: the split test has no choice questions."),
    ],
)
def test_an_empty_suite_is_a_stop(suite: Suite, questions: list[Question], fact: str) -> None:
    with pytest.raises(Stop) as stop:
        asked({"mine": suite}, {"test": questions, "ood": [choice(1)]})
    assert stop.value.fact == fact
    assert "Take mine out of evaluate.suites" in stop.value.next_step


Done = Callable[[list[Conversation]], None]


class Scripted:
    """A backend whose reply hangs on the conversation, its number among equals and the decoding."""

    def __init__(self, before: Done = lambda conversations: None) -> None:
        self.asked: list[Conversation] = []
        self.calls = 0
        self.before = before

    def replies(
        self, conversations: Sequence[Conversation], decoding: Decoding, on_progress: Progress = silent
    ) -> list[Reply]:
        self.calls += 1
        self.before(list(conversations))
        self.asked += conversations
        on_progress(len(conversations), len(conversations))
        return [self.reply(conversation, number, decoding) for number, conversation in enumerate(conversations)]

    def reply(self, conversation: Conversation, number: int, decoding: Decoding) -> Reply:
        drawn = sha256(repr((conversation, decoding, decoding.temperature and number)).encode()).digest()
        answer = "ABCD"[drawn[0] % 4]
        return Reply(f"<think>{'x ' * (drawn[1] % 9)}</think><answer>{answer}</answer>", 5 + drawn[1] % 9, "stop")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    return Workspace(home=tmp_path, run="r", tracking_uri="")


def bench(workspace: Workspace, cases: Cases | None = None, **changes: Any) -> Bench:
    params = Evaluate.model_validate({**PARAMS, **changes})
    stage = Stage("evaluate", workspace, None, "run")  # type: ignore[arg-type]
    return evaluation.bench(stage, params, DEFAULT_SCORING, cases or Cases("none", list))


def judged(
    bench: Bench, backend: Scripted, *asked: Sheet, weights: str = "w", role: str = "base"
) -> list[list[JudgedAnswer]]:
    """Through the backend given."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backends, "opened", lambda params, role, weights, folder: backend)
        subject = Subject(role=role, weights=weights, key="nowhere")  # type: ignore[arg-type]
        return evaluation.judged(bench, subject, asked)


MANY = [choice(number) for number in range(30)]
SHEETS = (
    plain("test", MANY, "method"),
    *sheets("lengths", LENGTHS.model_copy(update={"questions": 15}), MANY),
    *sheets("samples", SAMPLES.model_copy(update={"questions": 9}), MANY),
    plain("ood", MANY[:19], "direct"),
)


def stored(workspace: Workspace) -> dict[str, str]:
    """The checksum of every stored file of verdicts, by identity."""
    return {
        path.parent.name: record.checksum(path) for path in workspace.home.glob(f"store/verdicts/*/{verdicts.NAME}")
    }


def notes(workspace: Workspace) -> list[str]:
    return [event.message for event, _ in journal.read(workspace.journal) if event.kind == "note"]


def test_answers_stand_in_the_order_asked_with_the_graders_verdict(home: Workspace) -> None:
    backend = Scripted()
    found = judged(bench(home), backend, *SHEETS)
    for sheet, rows in zip(SHEETS, found, strict=True):
        assert [(a.question.id, a.variant) for a in sheet.askings] == [(r.question_id, r.variant) for r in rows]
        assert {row.split for row in rows} == {sheet.split}
    lengths = found[1]
    assert all(row.length is not None for row in lengths)
    assert all(row.length is None for row in found[0])
    assert all((row.correct, row.gold) == (row.answer == "B", "B") for rows in found for row in rows)
    assert notes(home) == [f"base: {sum(map(len, found))} answers generated, 0 verdicts reused"]


def test_stored_verdicts_are_taken_without_opening_a_model(home: Workspace) -> None:
    first = judged(bench(home), Scripted(), *SHEETS)

    def refuse(conversations: list[Conversation]) -> None:
        raise AssertionError("asked although every verdict is stored")

    assert judged(bench(home), Scripted(refuse), *SHEETS, role="champion") == first
    assert notes(home)[1] == f"champion: 0 answers generated, {sum(map(len, first))} verdicts reused"


def test_two_suites_that_ask_the_same_are_answered_once(home: Workspace) -> None:
    one, other = sheets("one", SAMPLES, MANY), sheets("other", SAMPLES, MANY)
    backend = Scripted()
    first, second = judged(bench(home), backend, *one, *other)
    assert first == second
    assert len(backend.asked) == 12


def test_a_sheet_without_questions_is_answered_by_nobody(home: Workspace) -> None:
    backend = Scripted()
    assert judged(bench(home), backend, plain("ood", [], "method")) == [[]]
    assert backend.calls == 0


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({"endpoint": {"url": "http://elsewhere/v1", "model": "{role}", "concurrency": 9, "timeout": 9}}, True),
        ({"confidence": 0.9, "completions_shown": 5}, True),
        ({"reasoning": Reasoning(similar_cases=9, experts=9, specialists=9, rounds=9).model_dump()}, True),
        ({"batch": 3}, False),
        ({"max_completion_tokens": 51}, False),
        ({"backend": "vllm"}, False),
    ],
)
def test_verdicts_are_another_answers_only_where_what_shapes_them_is(
    home: Workspace, changes: dict[str, Any], is_same: bool
) -> None:
    sheet = plain("test", MANY, "method")
    judged(bench(home), Scripted(), sheet)
    backend = Scripted()
    judged(bench(home, **changes), backend, sheet)
    assert (backend.calls == 0) is is_same


def test_bounds_and_training_questions_shape_the_strategies_that_use_them_alone(home: Workspace) -> None:
    other = Reasoning(similar_cases=9, experts=9, specialists=9, rounds=9).model_dump()
    mine, theirs = Cases("mine", list), Cases("theirs", list)
    direct, similar = plain("test", MANY, "direct"), plain("test", MANY, "similar_cases")
    assert bench(home, mine).decoding(direct) == bench(home, theirs).decoding(direct)
    assert bench(home, mine).decoding(similar) != bench(home, theirs).decoding(similar)
    assert bench(home).decoding(direct) != bench(home, reasoning=other).decoding(direct)
    assert bench(home).decoding(direct) != bench(home).decoding(plain("test", MANY, "method"))


def test_training_questions_are_read_only_for_a_strategy_that_shows_them(home: Workspace) -> None:
    def read() -> list[Question]:
        raise AssertionError("read although no strategy shows cases")

    judged(bench(home, Cases("d", read)), Scripted(), plain("test", MANY, "direct"), plain("test", MANY, "method"))
    with pytest.raises(AssertionError, match="although"):
        judged(bench(home, Cases("d", read)), Scripted(), plain("test", MANY, "similar_cases"))


def test_equal_questions_of_two_blocks_are_sampled_apart(home: Workspace) -> None:
    many = SAMPLES.model_copy(update={"questions": 1, "samples": 40})
    seeds: list[int] = []

    class Watched(Scripted):
        def reply(self, conversation: Conversation, number: int, decoding: Decoding) -> Reply:
            seeds.append(decoding.seed)
            return super().reply(conversation, number, decoding)

    judged(bench(home), Watched(), *sheets("s", many, MANY))
    assert len(set(seeds)) == 40 // (evaluation.BATCHES * PARAMS["batch"])
    assert all(0 <= seed < 2**31 for seed in seeds)


class Cut(Exception):
    """The power goes."""


def cut_at(call: int, end: Callable[[], None]) -> Scripted:
    """A backend under which everything ends in its n-th call."""

    def before(conversations: list[Conversation]) -> None:
        if backend.calls == call:
            end()

    backend = Scripted(before)
    return backend


def cut() -> None:
    raise Cut


def calls_of(asked: Sequence[Sheet]) -> int:
    """Blocks in all."""
    size = evaluation.BATCHES * int(PARAMS["batch"])
    return sum(-(-len(sheet.askings) // size) for sheet in asked)


@pytest.mark.parametrize("call", [1, 2, 4, 5, 8, 12, 15])
def test_an_evaluation_cut_anywhere_goes_on_after_the_last_whole_block(tmp_path: Path, call: int) -> None:
    whole = Workspace(home=tmp_path / "whole", run="r", tracking_uri="")
    broken = Workspace(home=tmp_path / "broken", run="r", tracking_uri="")
    expected = judged(bench(whole), Scripted(), *SHEETS)
    assert calls_of(SHEETS) >= call

    with pytest.raises(Cut):
        judged(bench(broken), cut_at(call, cut), *SHEETS)
    again = Scripted()
    assert judged(bench(broken), again, *SHEETS) == expected
    assert again.calls == calls_of(SHEETS) - (call - 1)  # the block that was cut, and those after it
    assert stored(broken) == stored(whole)
    assert len(stored(whole)) == len(SHEETS)
    assert list((broken.home / partial.FOLDER).iterdir()) == []
    assert "taken up where an evaluation was cut short" in notes(broken)[-1] or call in {1, 5}


def test_a_killed_evaluation_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    """SIGKILL in the third block of the first sheet and again in the second of the next."""
    whole = Workspace(home=tmp_path / "whole", run="r", tracking_uri="")
    broken = Workspace(home=tmp_path / "broken", run="r", tracking_uri="")
    judged(bench(whole), Scripted(), *SHEETS)
    for call in (3, 4):
        child = os.fork()
        if not child:
            judged(bench(broken), cut_at(call, lambda: os.kill(os.getpid(), signal.SIGKILL)), *SHEETS)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    again = Scripted()
    judged(bench(broken), again, *SHEETS)
    assert again.calls == calls_of(SHEETS) - 2 - 3
    assert stored(broken) == stored(whole)


@pytest.mark.parametrize("damage", ["torn", "other", "gone"])
def test_a_block_that_is_not_whole_is_asked_again(tmp_path: Path, damage: str) -> None:
    workspace = Workspace(home=tmp_path, run="r", tracking_uri="")
    sheet = SHEETS[0]
    with pytest.raises(Cut):
        judged(bench(workspace), cut_at(4, cut), sheet)
    first, second, _ = sorted((tmp_path / partial.FOLDER).glob("*/*.parquet"))
    match damage:
        case "torn":
            first.write_bytes(first.read_bytes()[:100])
        case "other":
            first.write_bytes(second.read_bytes())
        case "gone":
            first.unlink()
    again = Scripted()
    judged(bench(workspace), again, sheet)
    assert again.calls == 2
    untouched = Workspace(home=tmp_path / "whole", run="r", tracking_uri="")
    judged(bench(untouched), Scripted(), sheet)
    assert stored(workspace) == stored(untouched)


def test_blocks_of_another_protocol_are_not_taken_up(home: Workspace) -> None:
    with pytest.raises(Cut):
        judged(bench(home), cut_at(3, cut), SHEETS[0])
    again = Scripted()
    judged(bench(home), again, SHEETS[0], weights="other")
    assert again.calls == calls_of(SHEETS[:1])


def test_a_budget_without_a_count_of_tokens_is_a_stop_and_nothing_is_stored(home: Workspace) -> None:
    class Mute(Scripted):
        def reply(self, conversation: Conversation, number: int, decoding: Decoding) -> Reply:
            return super().reply(conversation, number, decoding)._replace(tokens=None)

    with pytest.raises(
        Stop, match=r"The suite evaluate\.suites\.lengths asks for lengths, and the server does not count"
    ):
        judged(bench(home), Mute(), *sheets("lengths", LENGTHS, MANY))
    assert stored(home) == {}
    (rows,) = judged(bench(home), Mute(), plain("test", MANY, "method"))
    assert {row.tokens for row in rows} == {None}


def test_an_asking_without_a_budget_is_the_prompt_of_training() -> None:
    asking = Asking(choice(1))
    assert asking.conversation[1]["content"] == user_text(choice(1))
    assert [message["role"] for message in asking.conversation] == ["system", "user"]
