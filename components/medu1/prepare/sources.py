"""Where questions come from: `builtin`, or FORMAT:PLACE[#SPLIT] with a file as its publisher wrote it.

PLACE is a path, `s3://bucket/key` or `hf://owner/name[@revision]/path`. SPLIT says which of the publisher's splits the
file is, since no file says it itself: train, validation, test or ood; or `drawn`, to have prepare split it by group.
A benchmark's file without one is that benchmark's evaluation split, so nothing is trained on by oversight.
"""

import difflib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, get_args

from medu1.calculators import CALCULATORS
from medu1.columns import Columns
from medu1.errors import Stop
from medu1.prepare.formats import (
    builtin,
    healthbench,
    medcalc,
    medical_o1,
    medmcqa,
    medqa,
    medquad,
    medxpertqa,
    mirage,
    mmlu,
    mmlu_pro,
    pubmedqa,
    table,
)
from medu1.prepare.formats.row import Asked, Row
from medu1.prepare.location import CACHE, fetched
from medu1.prepare.publication import PUBLICATIONS, RESTRICTED, Publication, Published
from medu1.question import Question, Split

Format = Literal[Published, "table"]
Stated = Literal[Split, "drawn"]
Tables = Mapping[str, Columns]  # by the place that the entry names

FORMATS: tuple[Format, ...] = get_args(Format)
STATED: tuple[Stated, ...] = get_args(Stated)
NO_TABLES: Final[Tables] = MappingProxyType({})

EVALUATION: Final[Mapping[Format, Split]] = {  # what a benchmark's file is where no split is stated
    "medcalc-v1.2": "test",
    "medcalc-verified": "test",
    "medqa": "test",
    "pubmedqa": "test",
    "medxpertqa": "test",
    "mmlu": "ood",
    "mmlu-pro": "ood",
    "healthbench": "ood",
}
OWN_SPLITS: Final = ("builtin", "mirage")  # their rows state a split each
UNGRADABLE: Final = ("healthbench",)  # no rule tells a right answer: to be evaluated on only
NAMED_BY_FILE: Final = ("medqa", "mmlu", "medical-o1")  # the file's name is part of the questions' ids


class Source(NamedTuple):
    """One entry of prepare.sources."""

    format: Format
    path: str  # or address; "" for builtin
    stated: Stated | None = None

    def __str__(self) -> str:
        place = f"{self.format}:{self.path}" if self.path else self.format
        return f"{place}#{self.stated}" if self.stated else place

    @property
    def split(self) -> Split | None:
        """What all rows are declared to be; None: rows say so themselves, or prepare splits them by group."""
        return None if self.stated == "drawn" else self.stated or EVALUATION.get(self.format)

    @property
    def identity(self) -> str:
        """What, beside the file's bytes, changes its questions: where the file lies does not."""
        name = self.path.rpartition("/")[2] if self.format in NAMED_BY_FILE else ""
        return "#".join(filter(None, (self.format, name, self.stated)))


BUILTIN = Source("builtin", "")


def parse(entry: str) -> Source:
    """`builtin` or FORMAT:PLACE[#SPLIT]. Raises Stop naming the nearest format or split."""
    name, _, rest = entry.partition(":")
    place, mark, split = rest.rpartition("#") if "#" in rest else (rest, "", "")
    source = Source(_format(entry, name), place, _stated(entry, split) if mark else None)
    if (name == "builtin") == bool(place):
        raise Stop(
            f"prepare.sources: {entry!r} " + ("takes no path." if place else "has no path."),
            next_step="Write builtin." if place else f"Write {name}:PATH.",
        )
    _check_split(entry, source)
    return source


def _format(entry: str, name: str) -> Format:
    for known in FORMATS:
        if name == known:
            return known
    if restricted := RESTRICTED.get(name.lower().replace("-", "")):
        raise unread(entry, restricted)
    nearest = difflib.get_close_matches(name, FORMATS, n=1, cutoff=0.0)[0]
    raise Stop(
        f"prepare.sources: {entry!r} has no format medu1 knows; the nearest is {nearest}.",
        f"The formats are {', '.join(FORMATS)}.",
        f"Write {nearest if nearest == 'builtin' else nearest + ':PATH'}.",
    )


def unread(entry: str, publication: Publication) -> Stop:
    """The error that names data behind an agreement, for which there is no reader on purpose."""
    return Stop(
        f"prepare.sources: {entry!r} is {publication.access} data, {publication.title}.",
        f"Its licence ({publication.licence}) forbids handing it on, so medu1 reads no copy of it by name.",
        "Where your own agreement covers this use, read it as table:PATH with its access stated, and allow its source.",
    )


def _stated(entry: str, split: str) -> Stated:
    for known in STATED:
        if split == known:
            return known
    nearest = difflib.get_close_matches(split, STATED, n=1, cutoff=0.0)[0]
    raise Stop(
        f"prepare.sources: {entry!r} states the split {split!r}; the nearest is {nearest}.",
        f"The splits are {', '.join(STATED)}.",
        f"Write #{nearest}, or no split for the format's own.",
    )


def _check_split(entry: str, source: Source) -> None:
    if source.stated and source.format in OWN_SPLITS:
        raise Stop(
            f"prepare.sources: {entry!r} states a split.",
            f"The rows of {source.format} state their own.",
            f"Leave out #{source.stated}.",
        )
    if source.format in UNGRADABLE and source.split not in ("test", "ood"):
        raise Stop(
            f"prepare.sources: {entry!r} would be trained on or selected by.",
            "Its answers are judged by a rubric, and no rule can tell a right one.",
            "Write #test or #ood.",
        )


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


def publication_of(source: Source, tables: Tables = NO_TABLES) -> Publication:
    """Who published a source's data; of a table, what its mapping states. Raises Stop where there is no mapping."""
    if source.format != "table":
        return PUBLICATIONS[source.format]
    columns = columns_of(source, tables)
    return Publication(title=columns.source, licence=columns.licence, access=columns.access, citation=columns.citation)


def columns_of(source: Source, tables: Tables) -> Columns:
    """The mapping of a table. Raises Stop where there is none."""
    if source.path not in tables:
        raise Stop(
            f"prepare.sources: {source} has no mapping of its columns.",
            "A table's columns have any names, and its licence is written nowhere else.",
            f"Add {source.path} to prepare.tables.",
        )
    return tables[source.path]


def rows(
    source: Source,
    raw: Path,
    calculators: Sequence[str],
    tables: Tables = NO_TABLES,
    cache: Path = CACHE,
) -> Iterator[Row]:
    """The rows of one source, one at a time; `raw` holds the built-in questions and the files below data/."""
    if source.format == "builtin":
        return _chosen(builtin.questions(raw), calculators)
    return _published(source, fetched(source.path, cache, raw), tables)


def _published(source: Source, path: Path, tables: Tables) -> Iterator[Row]:
    match source.format:
        case "medcalc" | "medcalc-v1.2" | "medcalc-verified":
            return medcalc.questions(path, source.split, source.format)
        case "mirage":
            return mirage.questions(path)
        case "medquad":
            return medquad.questions(path, source.split)
        case "medqa":
            return medqa.questions(path, source.split)
        case "medmcqa":
            return medmcqa.questions(path, source.split)
        case "mmlu":
            return mmlu.questions(path, source.split)
        case "mmlu-pro":
            return mmlu_pro.questions(path, source.split)
        case "pubmedqa":
            return pubmedqa.questions(path, source.split)
        case "medxpertqa":
            return medxpertqa.questions(path, source.split)
        case "medical-o1":
            return medical_o1.questions(path, source.split)
        case "healthbench":
            return healthbench.questions(path, source.split)
        case "table":
            return table.questions(path, columns_of(source, tables), source.split)
        case "builtin":
            raise AssertionError("builtin has no file")


def _chosen(found: Iterator[Row], calculators: Sequence[str]) -> Iterator[Row]:
    """The built-in questions without those on other calculators; none named: all. Raises Stop on an unknown name."""
    for name in calculators:
        if name not in CALCULATORS:
            nearest = difflib.get_close_matches(name, CALCULATORS, n=1, cutoff=0.0)[0]
            raise Stop(
                f"prepare.calculators: {name!r} is no built-in calculator; the nearest is {nearest}.",
                next_step="Correct the name, or give an empty list for all of them.",
            )
    return (row for row in found if not isinstance(row, Asked) or _is_chosen(row.question, calculators))


def _is_chosen(question: Question, calculators: Sequence[str]) -> bool:
    return not calculators or question.family != "calculation" or question.topic in calculators
