"""Where questions come from: `builtin`, or FORMAT:PATH with a file as its publisher wrote it.

What is read is checked for repeated ids, since an id names one question through training and evaluation.
"""

import difflib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from medu1.calculators import CALCULATORS
from medu1.errors import Stop
from medu1.prepare import builtin, medcalc, medquad, mirage
from medu1.prepare.row import Malformed, Reading
from medu1.question import Question

Format = Literal["builtin", "medcalc", "mirage", "medquad"]
FORMATS: tuple[Format, ...] = get_args(Format)


class Source(NamedTuple):
    """One entry of prepare.sources."""

    format: Format
    path: str  # "" for builtin

    def __str__(self) -> str:
        return f"{self.format}:{self.path}" if self.path else self.format


BUILTIN = Source("builtin", "")


def parse(entry: str) -> Source:
    """`builtin`, `medcalc:PATH`, `mirage:PATH` or `medquad:PATH`. Raises Stop naming the nearest format."""
    name, _, path = entry.partition(":")
    known: dict[str, Format] = {known: known for known in FORMATS}
    if name not in known:
        nearest = difflib.get_close_matches(name, FORMATS, n=1, cutoff=0.0)[0]
        raise Stop(
            f"prepare.sources: {entry!r} has no format medu1 knows; the nearest is {nearest}.",
            f"The formats are {', '.join(FORMATS)}.",
            f"Write {nearest if nearest == 'builtin' else nearest + ':PATH'}.",
        )
    if (name == "builtin") == bool(path):
        raise Stop(
            f"prepare.sources: {entry!r} " + ("takes no path." if path else "has no path."),
            next_step="Write builtin." if path else f"Write {name}:PATH.",
        )
    return Source(known[name], path)


def file_digest(path: Path) -> str:
    """The MD5 DVC gives a file. Raises Stop where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()
    except OSError as error:
        raise Stop(
            f"The source file {path} cannot be read ({error.strerror}).",
            next_step="Correct its path in prepare.sources.",
        ) from None


def read(sources: Sequence[Source], raw: Path, calculators: Sequence[str]) -> dict[Source, Reading]:
    """Every row of every source, the built-in ones always among them; a row with an earlier row's id is malformed."""
    places: dict[str, str] = {}
    every = dict.fromkeys([BUILTIN, *sources])
    return {source: _once(_read(source, raw, calculators), places) for source in every}


def _read(source: Source, raw: Path, calculators: Sequence[str]) -> Reading:
    match source.format:
        case "builtin":
            return _chosen(builtin.read(raw), calculators)
        case "medcalc":
            return medcalc.read(Path(source.path))
        case "mirage":
            return mirage.read(Path(source.path))
        case "medquad":
            return medquad.read(Path(source.path))


def _once(reading: Reading, places: dict[str, str]) -> Reading:
    kept, repeated = [], list(reading.malformed)
    for asked in reading.asked:
        place = f"{asked.file}, {asked.place}"
        first = places.setdefault(asked.question.id, place)
        if first == place:
            kept.append(asked)
        else:
            reason = f"{asked.question.id} is the id of {first} too"
            repeated.append(Malformed(file=asked.file, place=asked.place, field="id", reason=reason))
    return Reading(kept, repeated)


def _chosen(reading: Reading, calculators: Sequence[str]) -> Reading:
    """The built-in questions without those on other calculators; none named: all. Raises Stop on an unknown name."""
    for name in calculators:
        if name not in CALCULATORS:
            nearest = difflib.get_close_matches(name, CALCULATORS, n=1, cutoff=0.0)[0]
            raise Stop(
                f"prepare.calculators: {name!r} is no built-in calculator; the nearest is {nearest}.",
                next_step="Correct the name, or give an empty list for all of them.",
            )
    return Reading([asked for asked in reading.asked if _is_chosen(asked.question, calculators)], reading.malformed)


def _is_chosen(question: Question, calculators: Sequence[str]) -> bool:
    return not calculators or question.family != "calculation" or question.topic in calculators
