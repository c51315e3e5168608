"""The screen for protected health information: what may name a patient is counted, redacted or keeps its row out.

A report holds counts and row ids and never a word of what was found, since reports travel further than data; an id that
holds an identifier itself is named by its hash. Golds are never rewritten: nobody could give the answer any more. A row
whose gold holds an identifier is dropped where the others are redacted.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import accumulate
from typing import Final, NamedTuple

from pydantic import Field

from medu1.params import PhiPolicy
from medu1.prepare.health.identifiers import GLANCE, Exempt, Kind, Span, identifiers
from medu1.question import Choice, Date, FreeText, Frozen, Question

SHOWN: Final = 20  # ids listed of a kind
GOLD: Final = "gold"
OPTION: Final = "options."
GAP: Final = "\n\x1f\n"  # between fields searched at once: no pattern reaches over it


class Finding(NamedTuple):
    """Where an identifier stands in a question: never what it says."""

    kind: Kind
    field: str  # text, context, rationale, options.A or gold
    start: int  # characters
    end: int


class PhiReport(Frozen):
    """Rows, by kind and source."""

    read: int
    action: str
    rows: dict[Kind, dict[str, int]] = Field(default_factory=dict)  # kind -> source -> rows with one or more
    ids: dict[Kind, tuple[str, ...]] = Field(default_factory=dict)  # the first ids of each kind
    flagged: dict[str, int] = Field(default_factory=dict)  # source -> rows with any
    redacted: dict[str, int] = Field(default_factory=dict)  # source -> rows
    dropped: dict[str, int] = Field(default_factory=dict)  # source -> rows

    def __add__(self, other: "PhiReport") -> "PhiReport":
        """Of the rows of both, under one policy."""
        kinds = [kind for kind in Kind if kind in self.rows or kind in other.rows]
        return PhiReport(
            read=self.read + other.read,
            action=self.action,
            rows={kind: _added(self.rows.get(kind, {}), other.rows.get(kind, {})) for kind in kinds},
            ids={kind: tuple(_first(self.ids.get(kind, ()) + other.ids.get(kind, ()), SHOWN)) for kind in kinds},
            flagged=_added(self.flagged, other.flagged),
            redacted=_added(self.redacted, other.redacted),
            dropped=_added(self.dropped, other.dropped),
        )


DEFAULT_PHI: Final = PhiPolicy(
    action="report", dated="drop", toll_free=True, public_hosts=(".gov", ".mil", ".int", ".gov.uk", ".nhs.uk")
)


def exempt(policy: PhiPolicy) -> Exempt:
    """What is no identifier."""
    return Exempt(policy.toll_free, policy.public_hosts)


def screen(question: Question, policy: PhiPolicy = DEFAULT_PHI) -> tuple[Finding, ...]:
    """Every identifier in what a model reads, in the worked answer and in a gold of free text."""
    fields = list(_texts(question))
    begins = list(accumulate((len(text) + len(GAP) for _, text in fields), initial=0))
    spans = identifiers(GAP.join(text for _, text in fields), exempt(policy))
    places = ((bisect_right(begins, span.start) - 1, span) for span in spans)
    return tuple(Finding(span.kind, fields[n][0], span.start - begins[n], span.end - begins[n]) for n, span in places)


def redacted(question: Question, policy: PhiPolicy = DEFAULT_PHI) -> Question:
    """A copy with a mark in place of each identifier, such as [NAME]; the gold stays as it is.

    Where the gold is a date, dates stay: the answer is worked out from them.
    """
    return _redacted(question, screen(question, policy))


class PhiScreen:
    """An accumulator: every batch goes through `passed`, then ask for the report."""

    def __init__(self, policy: PhiPolicy = DEFAULT_PHI) -> None:
        self.policy = policy
        self._read = 0
        self._rows: dict[Kind, Counter[str]] = defaultdict(Counter)
        self._ids: dict[Kind, list[str]] = defaultdict(list)
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)

    def passed(self, batch: Iterable[Question]) -> list[Question]:
        """The rows that go on, in order, redacted where the policy says so."""
        return [kept for kept in self.screened(list(batch)) if kept is not None]

    def screened(self, batch: Sequence[Question]) -> list[Question | None]:
        """Each row as it goes on; None: it does not. Thousands at a time are fastest."""
        likely = GLANCE.likely(list(map(_joined, batch)))
        self._read += len(batch)
        return [self._passed(question) if holds else question for question, holds in zip(batch, likely, strict=True)]

    def report(self) -> PhiReport:
        """What was found so far."""
        return PhiReport(
            read=self._read,
            action=self.policy.action,
            rows={kind: dict(sorted(self._rows[kind].items())) for kind in Kind if kind in self._rows},
            ids={kind: tuple(_first(self._ids[kind], SHOWN)) for kind in Kind if kind in self._ids},
            **{name: dict(sorted(self._counts[name].items())) for name in ("flagged", "redacted", "dropped")},
        )

    def _passed(self, question: Question) -> Question | None:
        findings = screen(question, self.policy)
        if not findings:
            return question
        self._count(question, findings)
        kept = self._treated(question, findings)
        if kept is not question:
            self._counts["dropped" if kept is None else "redacted"][question.source] += 1
        return kept

    def _treated(self, question: Question, findings: tuple[Finding, ...]) -> Question | None:
        """The question as the policy lets it on; None: not at all."""
        match self.policy.action:
            case "report":
                return question
            case "drop":
                return None
            case "redact":
                asks_date = isinstance(question.gold, Date) and any(found.kind is Kind.DATE for found in findings)
                if asks_date and self.policy.dated == "drop":
                    return None
                return None if _is_spoilt(question, findings) else _redacted(question, findings)

    def _count(self, question: Question, findings: tuple[Finding, ...]) -> None:
        self._counts["flagged"][question.source] += 1
        name = safe(question.id, self.policy)
        for kind in {found.kind for found in findings}:
            self._rows[kind][question.source] += 1
            ids = self._ids[kind]
            ids.append(name)
            if len(ids) > 50 * SHOWN:
                ids[:] = _first(ids, SHOWN)


def _texts(question: Question) -> Iterator[tuple[str, str]]:
    """Every field that is screened."""
    yield from (("text", question.text), ("context", question.context), ("rationale", question.rationale))
    yield from ((OPTION + letter, text) for letter, text in question.options.items())
    yield from ((GOLD, criterion.text) for criterion in question.rubric)
    if isinstance(question.gold, FreeText):
        yield from ((GOLD, text) for text in (question.gold.text, *question.gold.aliases))


def _joined(question: Question) -> str:
    """Every field that is screened, in one text."""
    gold = question.gold
    golds = (gold.text, *gold.aliases) if isinstance(gold, FreeText) else ()
    criteria = [criterion.text for criterion in question.rubric]
    parts = (question.text, question.context, question.rationale, *question.options.values(), *criteria, *golds)
    return GAP.join(parts)


def _redacted(question: Question, findings: Iterable[Finding]) -> Question:
    spans: dict[str, list[Span]] = defaultdict(list)
    for found in findings:
        if found.field != GOLD and not (found.kind is Kind.DATE and isinstance(question.gold, Date)):
            spans[found.field].append(Span(found.start, found.end, found.kind))
    options = {letter: _marked(text, spans[OPTION + letter]) for letter, text in question.options.items()}
    update = {name: _marked(getattr(question, name), spans[name]) for name in ("text", "context", "rationale")}
    return question.model_copy(update=update | {"options": options})


def _marked(text: str, spans: Iterable[Span]) -> str:
    for span in sorted(spans, reverse=True):
        text = text[: span.start] + span.kind.mark + text[span.end :]
    return text


def _is_spoilt(question: Question, findings: Iterable[Finding]) -> bool:
    """Whether the redacted question has no right answer: the gold is redacted, or is one of two equal options."""
    options = _redacted(question, findings).options if isinstance(question.gold, Choice) else {}
    twins = len(set(options.values())) < len(set(question.options.values()))
    return twins or any(found.field == GOLD for found in findings)


def safe(name: str, policy: PhiPolicy) -> str:
    """An id that names no person."""
    return f"id-{blake2b(name.encode(), digest_size=8).hexdigest()}" if identifiers(name, exempt(policy)) else name


def _added(counts: Mapping[str, int], others: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted((Counter(counts) + Counter(others)).items()))


def _first(ids: Iterable[str], shown: int) -> list[str]:
    return sorted(ids)[:shown]
