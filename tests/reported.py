"""A report of three models on hostile questions, for the tests of whatever shows one."""

from collections.abc import Sequence

from medu1.evaluate import tabulation
from medu1.evaluate.verdicts import JudgedAnswer
from medu1.question import Choice, FreeText, Gold, Integer, Question
from medu1.report import Condition, Decision, Judged, Protocol, QuestionSet, Report, Role, SetName
from probes import PROBES

HOSTILE = (
    "</pre></style></title><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}{% raw %} & ]]> \u202e\x00\r\n"
    "<!-- the decision --><!-- <a href='javascript:alert(3)'>x</a> | \\| `x` \u4e2d [y](javascript:alert(4)) http://evil.test\u2028"
)
DECISION = Decision(
    passed=False,
    reasons=("Met: fine", f"Not met: {HOSTILE}"),
    incumbent="version 3",
    conditions=(
        Condition(name="gain", holds=True, words="fine", figures={"low": 0.1}),
        Condition(name=f"family:{HOSTILE}", holds=False, words=HOSTILE, figures={}),
    ),
)
MODELS: tuple[Role, ...] = ("base", "candidate", "champion")


def question(number: int, family: str) -> Question:
    golds: dict[str, tuple[Gold, dict[str, str]]] = {
        "choice": (Choice(letter="A"), {"A": "yes <b>", "B": "no"}),
        "open": (FreeText(text="aspirin & rest"), {}),
        "calculation": (Integer(value=number), {}),
    }
    gold, options = golds[family]
    return Question(
        id=f"{family}-{number}", source=f"$source$ <{family}>", text=HOSTILE, gold=gold, options=options, topic="t"
    )


def answer(asked: Question, set_: SetName, correct: bool | None, text: str) -> JudgedAnswer:
    return JudgedAnswer(
        question_id=asked.id,
        split=set_,
        source=asked.source,
        family=asked.family,
        group=asked.group or asked.id,
        topic=asked.topic,
        gold="gold <i>",
        completion=text,
        tokens=len(text) % 70,
        finish="length" if correct is None else "stop",
        format_ok=bool(correct),
        answer=text[:5] if correct else None,
        correct=correct,
        similarity=None,
        reason="right" if correct else "no_answer",
    )


def evaluated(models: Sequence[Role] = MODELS) -> tuple[Report, tabulation.Verdicts, dict[str, Question]]:
    families = ("choice", "open", "calculation")
    asked = [question(number, family) for family in families for number in range(20)]
    sets: dict[SetName, list[Question]] = {"test": asked[:45], "ood": asked[45:]}
    found: tabulation.Verdicts = {
        role: {
            set_: [answer(q, set_, None if q.id == "open-3" else place % 5 < 1 + 2 * index, f"{role} {HOSTILE}")
                   for place, q in enumerate(questions)]
            for set_, questions in sets.items()
        }
        for index, role in enumerate(models)
    }  # fmt: skip
    report = Report(
        models=tuple(Judged(role=role, weights=f"{role}{'0' * 50}", base="builtin", revision="") for role in models),
        frozen="f" * 64,
        questions={name: len(questions) for name, questions in sets.items()},
        sets=(QuestionSet(name="test/<b>hostile</b>", questions=1045, digest="d" * 64),),
        confidence=0.95,
        max_completion_tokens=80,
        protocol=Protocol(backend="transformers", strategy="step_by_step", decoding="greedy, at most 80 new tokens"),
        probes=PROBES,
        batch=128,
        versions={"torch": "2"},
        rows=tabulation.rows(found, 0.95, tabulation.chances(asked)),
        comparisons=tabulation.comparisons(found, 0.95),
        conduct=tabulation.conduct(found),
    )
    return report, found, {q.id: q for q in asked}


def huge() -> tuple[Report, tabulation.Verdicts, dict[str, Question]]:
    """Everything that data or a model says is hostile, 100 kB of it."""
    long = HOSTILE * (100_000 // len(HOSTILE) + 1)
    report, found, questions = evaluated()
    told = {"topic": long, "gold": long, "completion": long, "answer": long}
    answers: tabulation.Verdicts = {
        role: {
            set_: [
                each.model_copy(update=told | {"source": each.source + long, "answer": each.answer and long + role})
                for each in rows
            ]
            for set_, rows in sets.items()
        }
        for role, sets in found.items()
    }
    asked = {
        name: each.model_copy(update={"source": long, "text": long, "options": dict.fromkeys(each.options, long)})
        for name, each in questions.items()
    }
    suites = {name: tuple(each.model_copy(update={"suite": long}) for each in of) for name, of in PROBES}
    changed = {
        "rows": tabulation.rows(answers, 0.95, {}),
        "comparisons": tabulation.comparisons(answers, 0.95),
        "sets": (QuestionSet(name=long, questions=1, digest=long),),
        "models": tuple(each.model_copy(update={"base": long, "revision": long}) for each in report.models),
        "protocol": Protocol(backend=long, strategy="method", decoding=long),
        "versions": {long: long},
        "probes": PROBES.model_copy(update=suites),
    }
    return report.model_copy(update=changed), answers, asked
