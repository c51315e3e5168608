"""Rows on their way in, on every core: read, judged, screened, and written as blocks.

A block is some thousands of rows of one source; each process takes every so-maniest block, and what it makes of a block
depends on that block alone. So the blocks are the same however many processes there are. Malformed rows are told, not
written: one of them refuses the lot.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from medu1.builtin.draw import uniform
from medu1.params import DuplicateLimits, Prepare
from medu1.prepare.contamination.ngrams import hashed_sets
from medu1.prepare.contamination.prose import Said
from medu1.prepare.formats.row import Asked, Judged, Malformed, Row
from medu1.prepare.health.phi import PhiReport, PhiScreen, safe
from medu1.prepare.labels.labels import Agrees, Verdict, applied
from medu1.prepare.location import fetched
from medu1.prepare.repeats.hints import Hints, digests, hints_of, prompts_of
from medu1.prepare.rows.block import FAMILIES, Bits, Block, Hashes, Marks, Texts, stem_of, write
from medu1.prepare.rows.fate import CODE, Fate
from medu1.prepare.sources import BUILTIN, Source, rows
from medu1.prepare.split import STRICTEST, drawn, group_of
from medu1.question import Question, Split
from medu1.workers import pool, uncollected

SIZE: Final = 1 << 14  # rows of a block
ALONE: Final = 8 << 20  # bytes of sources up to which starting processes costs more than it saves


class Job(NamedTuple):
    """What is taken in, under which parameters, from where to where."""

    sources: tuple[Source, ...]  # the built-in one first, whether it is named or not
    named: tuple[Source, ...]  # those of the parameters
    params: Prepare
    raw: Path
    cache: Path
    verdicts: dict[str, Verdict]  # on labels, by question id, where the parameters act on them
    into: Path  # a folder for the blocks


class Fault(NamedTuple):
    """A malformed row, and where it stands among all."""

    source: int
    block: int
    row: Malformed


class Taken(NamedTuple):
    """What one process read."""

    rows: Counter[int]  # by source: those that make a question
    faults: list[Fault]
    phi: PhiReport
    licences: dict[str, str]  # by question source


def taken(job: Job) -> list[Taken]:
    """Take everything in; the blocks lie in the job's folder. Raises Stop where a source cannot be read."""
    job.into.mkdir(parents=True, exist_ok=True)
    workers = os.cpu_count() or 1
    if workers == 1 or _size(job) <= ALONE:
        return [share(job, 0, 1)]
    with pool(workers, "reads rows") as processes:
        return list(processes.map(share, [job] * workers, range(workers), [workers] * workers))


def _size(job: Job) -> int:
    """Bytes of the files; what is not there is told by whoever reads it."""
    files = [fetched(source.path, job.cache, job.raw) for source in job.sources if source.path]
    return sum(file.stat().st_size for file in files if file.is_file())


@uncollected()
def share(job: Job, number: int, of: int) -> Taken:
    """One process's blocks of every source."""
    screen = PhiScreen(job.params.phi)
    found = Taken(Counter(), [], screen.report(), {})
    for place, source in enumerate(job.sources):
        for block, row in _blocks(
            rows(source, job.raw, job.params.calculators, job.params.tables, job.cache), number, of
        ):
            found.faults.extend(Fault(place, block, each) for each in row if isinstance(each, Malformed))
            asked = [each for each in row if isinstance(each, Asked)]
            found.rows[place] += len(asked)
            if asked := _wanted(source, asked, job):
                if source in job.named:
                    found.licences.update((each.question.source, each.question.licence) for each in asked)
                write(_block(place, asked, job, screen), stem_of(job.into, place, block))
    return found._replace(phi=screen.report())


def _blocks(found: Iterator[Row], number: int, of: int) -> Iterator[tuple[int, list[Row]]]:
    """Every `of`-th block, after its number."""
    if isinstance(found, Judged):
        yield from found.blocks(SIZE, number, of)
        return
    blocks = iter(lambda: list(islice(found, SIZE)), [])
    yield from ((block, row) for block, row in enumerate(blocks) if block % of == number)


def _wanted(source: Source, found: list[Asked], job: Job) -> list[Asked]:
    """All of them, but for built-in rows that no parameter asks for and that show nothing."""
    return found if source in job.named else [row for row in found if is_shown(row.question)]


def is_shown(question: Question) -> bool:
    """Whether a built-in question is a demonstration: a training question with a worked answer."""
    return question.split == "train" and bool(question.rationale)


def _block(entry: int, found: Sequence[Asked], job: Job, screen: PhiScreen) -> Block:
    """The rows through the gates that look at one row at a time."""
    source, fates = job.sources[entry], [Fate.KEPT] * len(found)
    questions = [row.question for row in found]
    if source != BUILTIN:
        kept = [applied(each, job.verdicts.get(each.id, Agrees()), job.params.labels) for each in questions]
        passed = iter(screen.screened([each for each in kept if each]))
        for place, labelled in enumerate(kept):
            screened = next(passed) if labelled else None
            fates[place] = Fate.KEPT if screened else Fate.IDENTIFIED if labelled else Fate.LABEL
            questions[place] = screened or questions[place]
    return _made(entry, questions, [f"{row.file}, {row.place}" for row in found], fates, job)


def _made(entry: int, questions: Sequence[Question], places: list[str], fates: Sequence[Fate], job: Job) -> Block:
    builtin, asked, params = job.sources[entry] == BUILTIN, job.sources[entry] in job.named, job.params
    groups = [group_of(question) for question in questions]
    splits = [question.split or drawn(group, params) for question, group in zip(questions, groups, strict=True)]
    said = Said.all(questions)
    options = hashed_sets([each.options for each in said])
    searched = np.array([fate is Fate.KEPT and not builtin for fate in fates], np.bool_)
    names = list(dict.fromkeys(question.source for question in questions))
    capped = params.max_rows_per_source is not None or bool(params.caps)
    return Block(
        texts=_texts(questions, groups, places, params, said, splits, fates),
        marks=Marks(
            entry=np.full(len(questions), entry, np.int32),
            source=np.array([names.index(question.source) for question in questions], np.int32),
            family=np.array([FAMILIES.index(question.family) for question in questions], np.int8),
            split=np.array([STRICTEST.index(split) for split in splits], np.int8),
            declared=np.array([question.split is not None for question in questions], np.bool_),
            fate=np.array([CODE[fate] for fate in fates], np.int8),
            asked=np.full(len(questions), asked, np.bool_),
            shown=np.array([builtin and is_shown(question) for question in questions], np.bool_),
            group=digests(map(_encoded, groups)),
            identity=digests(_encoded(question.id) for question in questions),
            prompt=prompts_of(questions, said),
            options=options,
            cap=np.array([uniform("cap", params.seed, group) if capped else 0.0 for group in groups], np.float64),
        ),
        names=names,
        hints=_hints(said, options, searched, params.duplicates),
        searched=searched,
    )


def _hints(said: Sequence[Said], options: Hashes, searched: Bits, limits: DuplicateLimits) -> Hints | None:
    """Of the rows that duplicates are looked for among."""
    rows = np.flatnonzero(searched)
    return hints_of([said[row] for row in rows.tolist()], options[rows], limits) if len(rows) else None


def _texts(
    questions: Sequence[Question],
    groups: list[str],
    places: list[str],
    params: Prepare,
    said: Sequence[Said],
    splits: Sequence[Split],
    fates: Sequence[Fate],
) -> Texts:
    """What goes to disk; of a row that is dropped already, no word of the question."""
    kept = [fate is Fate.KEPT for fate in fates]
    safe_ids = [
        safe(each.id, params.phi) if fate is Fate.IDENTIFIED else each.id
        for each, fate in zip(questions, fates, strict=True)
    ]
    return Texts(
        id=safe_ids,
        source=[question.source for question in questions],
        family=[question.family for question in questions],
        group=groups,
        topic=[question.topic for question in questions],
        place=places,
        json=[each.canonical(split) if keep else "" for each, split, keep in zip(questions, splits, kept, strict=True)],
        prose=[each.packed if keep else b"" for each, keep in zip(said, kept, strict=True)],
    )


def _encoded(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
