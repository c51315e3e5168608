"""Which training question is drawn at which place of a run: a plan fixed by the questions, the parameters and the seed.

A stratum is a task family and a source. Every question has the same chance, times the weight of its source; under
`balance: family` each family that has questions gets the same share, and its sources divide it as before.

Shares hold in every batch, not only over the run: after any number of draws a stratum is less than one draw away from
its share. Each of its draws has a window of places that keeps to this, and of the strata whose window is open the one
whose window closes first is drawn (the chairman assignment problem, Tijdeman 1980). `curriculum.py` says which question
of the stratum that is.
"""

import difflib
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from medu1.errors import Stop
from medu1.params import Mixture, Train
from medu1.question import Family, Question
from medu1.train.curriculum import order

SHOWN = 8  # sources that a plan's summary names


class Stratum(NamedTuple):
    """What questions of one kind share."""

    family: Family
    source: str


class Window(NamedTuple):
    """The places at which a stratum's next draw keeps it within one draw of its share."""

    opens: int
    closes: int  # the first place that is too late


class Plan(NamedTuple):
    """The training questions and, draw by draw, which of them is asked."""

    questions: Sequence[Question]
    places: Sequence[int]  # in `questions`

    def counts(self) -> dict[Stratum, int]:
        """Draws by stratum; 0 where none of its questions is drawn."""
        drawn = Counter(_stratum(self.questions[place]) for place in self.places)
        return {stratum: drawn[stratum] for stratum in _members(self.questions)}

    def metrics(self) -> dict[str, float]:
        """`mixture/<family>/<source>`: shares of the draws."""
        return {f"mixture/{'/'.join(stratum)}": count / len(self.places) for stratum, count in self.counts().items()}

    def summary(self) -> str:
        """One line: draws by family and by source, the most drawn first."""
        families, sources = Counter[str](), Counter[str]()
        for stratum, count in self.counts().items():
            families[stratum.family] += count
            sources[stratum.source] += count
        return f"{len(self.places):,} draws: {_listed(families)}; {_listed(sources)}"


def planned(questions: Sequence[Question], params: Train) -> Plan:
    """The plan of steps x prompts_per_step draws. Raises Stop where every source weighs 0."""
    strata = _members(questions)
    shares = shares_of({stratum: len(places) for stratum, places in strata.items()}, params.mixture)
    turns = list(interleaved(shares, params.steps * params.prompts_per_step))
    draws = {stratum: _places(questions, strata[stratum], count, params) for stratum, count in Counter(turns).items()}
    return Plan(questions, [next(draws[turn]) for turn in turns])


def check_sources(weights: Collection[str], questions: Sequence[Question]) -> None:
    """Raises Stop where a weight names a source of which there is no training question, of whatever family."""
    known = sorted({each.source for each in questions})
    for name in sorted(set(weights) - set(known)):
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
        raise Stop(
            f"train.mixture.weights names {name}; the nearest source with training questions is {', '.join(nearest)}.",
            f"There are training questions of {', '.join(known)}.",
            "Correct the name, or take it out.",
        )


def shares_of(sizes: Mapping[Stratum, int], params: Mixture) -> dict[Stratum, Fraction]:
    """Each stratum's share of the draws, exactly, from its number of questions; none for a source that weighs 0."""
    masses = {stratum: size * _weight(stratum, params) for stratum, size in sizes.items()}
    present = {stratum: mass for stratum, mass in masses.items() if mass}
    if not present:
        raise _nothing_to_draw(sizes)
    parts: defaultdict[str, Fraction] = defaultdict(Fraction)
    for stratum, mass in present.items():
        parts[_part(stratum, params)] += mass
    return {stratum: mass / parts[_part(stratum, params)] / len(parts) for stratum, mass in present.items()}


def interleaved(shares: Mapping[Stratum, Fraction], draws: int) -> Iterator[Stratum]:
    """Whose turn each draw is, so that in every prefix a stratum's turns differ from its share by less than 1."""
    taken = dict.fromkeys(shares, 0)
    windows = {stratum: _window(0, share) for stratum, share in shares.items()}
    for place in range(draws):
        _, turn = min((window.closes, stratum) for stratum, window in windows.items() if window.opens <= place)
        taken[turn] += 1
        windows[turn] = _window(taken[turn], shares[turn])
        yield turn


def _window(taken: int, share: Fraction) -> Window:
    """A draw before it opens would lead the share by 1 or more; without one before it closes they trail by as much."""
    return Window(math.floor(taken / share), math.ceil((taken + 1) / share))


def _weight(stratum: Stratum, params: Mixture) -> Fraction:
    """As it is written: 0.1 is a tenth."""
    return Fraction(str(params.weights.get(stratum.source, 1.0)))


def _part(stratum: Stratum, params: Mixture) -> str:
    """Parts have equal shares: the families, or all strata as one."""
    return stratum.family if params.balance == "family" else ""


def _nothing_to_draw(strata: Collection[Stratum]) -> Stop:
    sources = sorted({stratum.source for stratum in strata})
    return Stop(
        "No training question is left to draw: train.mixture.weights gives every source the weight 0.",
        f"The questions of train.families are of {', '.join(sources)}.",
        "Give one of them a weight above 0, or widen train.families.",
    )


def _stratum(question: Question) -> Stratum:
    return Stratum(question.family, question.source)


def _members(questions: Sequence[Question]) -> dict[Stratum, list[int]]:
    """The places of every stratum's questions, strata by name."""
    strata: defaultdict[Stratum, list[int]] = defaultdict(list)
    for place, question in enumerate(questions):
        strata[_stratum(question)].append(place)
    return dict(sorted(strata.items()))


def _places(questions: Sequence[Question], members: Sequence[int], draws: int, params: Train) -> Iterator[int]:
    """A stratum's draws as places in `questions`."""
    stratum = [questions[place] for place in members]
    return (members[place] for place in order(stratum, draws, params.mixture, params.seed))


def _listed(counts: Counter[str]) -> str:
    """The highest counts by name, the others in one figure."""
    ranked = counts.most_common()
    named = [f"{name} {count:,}" for name, count in ranked[:SHOWN]]
    if others := ranked[SHOWN:]:
        named.append(f"{len(others)} other sources {sum(count for _, count in others):,}")
    return ", ".join(named)
