"""The training questions most like another one: TF-IDF cosine within the same family, without leakage.

Nearest cases as examples are the kNN part of Medprompt (Nori et al. 2023, arXiv:2311.16452), with words in place of an
embedding model's vectors: nothing to fetch, the same on every machine. Never shown are cases of the question's own
group, and those that ask the same words with the same options, in whatever order.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from medu1.prompt import normalised
from medu1.question import Family, Question

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TOGETHER: Final = 64  # questions compared with all cases at once: bounds the similarities held

Sameness = tuple[str, frozenset[str]]


Neighbours = tuple[Question, ...]  # nearest first; fewer where no more have a word in common with the question


def nearest(questions: Sequence[Question], cases: Sequence[Question], count: int) -> list[Neighbours]:
    """The `count` nearest cases of each question, in the questions' order; of equally near ones the first."""
    found: dict[int, Neighbours] = {}
    for family in dict.fromkeys(question.family for question in questions):
        asked = [index for index, question in enumerate(questions) if question.family == family]
        found.update(zip(asked, _within([questions[i] for i in asked], _of(family, cases), count), strict=True))
    return [found[index] for index in range(len(questions))]


def _of(family: Family, cases: Sequence[Question]) -> list[Question]:
    return [case for case in cases if case.family == family]


def _within(questions: Sequence[Question], cases: Sequence[Question], count: int) -> Iterator[Neighbours]:
    """Neighbours of questions of one family among cases of that family."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.metrics.pairwise import linear_kernel

    texts = list(map(_words, cases))
    if not any(texts):
        yield from (() for _ in questions)
        return
    vectorizer = TfidfVectorizer(lowercase=False, token_pattern=r"\w+", sublinear_tf=True)
    known = vectorizer.fit_transform(texts)
    same = [_sameness(case) for case in cases]
    for start in range(0, len(questions), _TOGETHER):
        block = questions[start : start + _TOGETHER]
        similar = linear_kernel(vectorizer.transform(map(_words, block)), known)
        for question, row in zip(block, similar, strict=True):
            yield tuple(cases[index] for index in _ranked(question, row, cases, same, count))


def _ranked(
    question: Question, row: "NDArray[np.float64]", cases: Sequence[Question], same: Sequence[Sameness], count: int
) -> list[int]:
    """Indices of the cases shown: something in common, nothing leaked, none twice. `row`: similarities, [cases]."""
    taken: list[int] = []
    seen = {_sameness(question)}
    for index in (-row).argsort(kind="stable"):
        if len(taken) == count or row[index] <= 0:
            break
        if same[index] not in seen and not _is_kin(question, cases[index]):
            seen.add(same[index])
            taken.append(int(index))
    return taken


def _words(question: Question) -> str:
    """What two questions may have in common; the letters of options, which all have, are left out."""
    return normalised(" ".join([question.context, question.text, *question.options.values()]))


def _is_kin(question: Question, case: Question) -> bool:
    """Whether training and test must not share the two."""
    return case.id == question.id or (bool(case.group) and case.group == question.group)


def _sameness(question: Question) -> Sameness:
    """What is asked, whatever the order of its options."""
    options = frozenset(map(normalised, question.options.values()))
    return normalised(f"{question.context} {question.text}"), options
