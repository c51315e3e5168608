"""The licence gate: data that may not be handed on is refused before a row of it is read, unless it is allowed by name.

Two things are looked at, what a source's publication or mapping states and what its file is named after: a copy of
EHRNoteQA in a table that calls itself open is EHRNoteQA still. Allowing a name says that one's own agreement covers the
run; what the run makes (its dataset, its tables of completions) is then under that agreement too.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from medu1.errors import Stop
from medu1.prepare.location import is_remote
from medu1.prepare.publication import RESTRICTED, Publication, restricted
from medu1.prepare.sources import NO_TABLES, Source, Tables, publication_of


def require(sources: Sequence[Source], allowed: Collection[str], tables: Tables = NO_TABLES) -> None:
    """Raises Stop that names every source that may not be used."""
    if faults := refusals(sources, frozenset(allowed), tables):
        raise refusal(faults)


def refusals(sources: Sequence[Source], allowed: frozenset[str], tables: Tables = NO_TABLES) -> list[str]:
    """What may not be used, a line each; `allowed` holds formats, a table's source, or a restricted data set's name."""
    faults = [fault for source in sources for fault in _faults(source, allowed, tables)]
    return list(dict.fromkeys(faults))


def refusal(faults: Sequence[str]) -> Stop:
    """The error that names every source."""
    return Stop(
        f"The licence gate refuses {'; '.join(faults)}.",
        "What a run makes of such data may not leave those who signed for it.",
        "Leave the source out; or, where your own agreement covers this use, add its name to prepare.allowed.",
    )


def _faults(source: Source, allowed: frozenset[str], tables: Tables) -> Iterator[str]:
    publication = publication_of(source, tables)
    name = publication.title if source.format == "table" else source.format
    if publication.access != "open" and name not in allowed:
        yield _fault(source, name, publication)
    known = restricted(f"{_named_after(source)} {name}")
    if known and known not in allowed and name not in allowed:
        yield _fault(source, known, RESTRICTED[known])


def _named_after(source: Source) -> str:
    """An address, or a file with its folder: what lies further up is named after someone's own work."""
    return source.path if is_remote(source.path) else "/".join(Path(source.path).parts[-2:])


def _fault(source: Source, name: str, publication: Publication) -> str:
    stated = f"{publication.access}, {publication.licence}"
    return f"{source}: it holds {publication.title} ({stated}), and {name} is not allowed"
