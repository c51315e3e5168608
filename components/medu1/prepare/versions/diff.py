"""`medu1 data diff`: the rows that two versions of the raw data differ by, counted by source.

A version is a directory or a git revision of `data.dvc`. Files that both hold byte for byte, under whatever name, are
not read; of the others each row leaves two 64-bit digests, of what it is known by and of its values, so a million rows
take 16 MB a side. Rows are matched by source and id over all files, since a shard border is no change; ids are texts
only in a second reading, for the few that are shown. A repeated id is matched as often as it occurs.
"""

from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from medu1.errors import Stop
from medu1.prepare.location import RAW
from medu1.prepare.versions.exchange import laid_out
from medu1.prepare.versions.pin import Listing, listing
from medu1.prepare.versions.raw_rows import RawRow, all_rows
from medu1.prepare.versions.remote import Remote
from medu1.prepare.versions.revision import pin_at
from medu1.prepare.versions.transfer import cache_of, scratch
from medu1.question import Frozen

SHOWN = 3  # ids named, of each source and kind

Numbers = npt.NDArray[Any]


class Version(Frozen):
    """One side of the comparison."""

    name: str  # as it was asked for
    digest: str  # of the raw directory


class FileChanges(Frozen):
    """What became of files, by their path below data/."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]  # from, to
    same: int


class SourceChanges(Frozen):
    """What became of a source's rows."""

    source: str
    added: int
    removed: int
    changed: int
    examples: dict[str, tuple[str, ...]]  # kind -> a few ids


class Difference(Frozen):
    """All that changed from one version to the other; sources without a change are left out."""

    before: Version
    after: Version
    files: FileChanges
    sources: tuple[SourceChanges, ...]


class Rows(NamedTuple):
    """The rows of one side, a number each."""

    keys: "array[int]"  # what a row is known by
    contents: "array[int]"
    sources: "array[int]"  # places in the list of names


class Changed(NamedTuple):
    """Rows that differ, one entry a key."""

    keys: Numbers
    sources: Numbers
    counts: Mapping[str, Numbers]  # kind -> rows


def diff(root: Path, before: str, after: str | None, remote: Remote | None) -> Difference:
    """From one version to another; the second is the raw directory as it lies here unless named."""
    name = after or f"{RAW}/"
    if Path(before).is_dir() and (not after or Path(after).is_dir()):
        return compared((before, Path(before)), (name, Path(after or root / RAW)))
    with scratch(root) as folder:
        first = _folder(root, before, remote, folder / "before")
        second = _folder(root, after, remote, folder / "after") if after else root / RAW
        return compared((before, first), (name, second))


def _folder(root: Path, name: str, remote: Remote | None, into: Path) -> Path:
    """A directory itself; a revision's bytes where they lie already, else laid out from the cache and the remote."""
    if Path(name).is_dir():
        return Path(name)
    pin = pin_at(root, name)
    if listing(root / RAW).digest == pin.digest:
        return root / RAW
    return laid_out(pin.digest, into, remote, cache_of(root), links="hardlink")


def compared(before: tuple[str, Path], after: tuple[str, Path]) -> Difference:
    """Two raw directories, each after its name."""
    (first, old), (second, new) = before, after
    held, holds = _listed(old), _listed(new)
    files = _files(held, holds)
    names: list[str] = []
    changed = _changed(
        _read(all_rows(old, [*files.removed, *files.changed]), names),
        _read(all_rows(new, [*files.added, *files.changed]), names),
    )
    return Difference(
        before=Version(name=first, digest=held.digest),
        after=Version(name=second, digest=holds.digest),
        files=files,
        sources=_by_source(changed, names, _shown(changed, files, old, new)),
    )


def _listed(folder: Path) -> Listing:
    found = listing(folder)
    if not found.files:
        raise Stop(f"There is no raw data in {folder}.", next_step="Run medu1 data build or medu1 data pull.")
    return found


def _files(before: Listing, after: Listing) -> FileChanges:
    old, new = before.md5s, after.md5s
    gone = {path: md5 for path, md5 in old.items() if path not in new}
    come = {path: md5 for path, md5 in new.items() if path not in old}
    by_md5 = {md5: path for path, md5 in gone.items()}
    renamed = {by_md5.pop(md5): path for path, md5 in come.items() if md5 in by_md5}
    both = old.keys() & new.keys()
    changed = sorted(path for path in both if old[path] != new[path])
    return FileChanges(
        added=tuple(sorted(come.keys() - set(renamed.values()))),
        removed=tuple(sorted(gone.keys() - renamed.keys())),
        changed=tuple(changed),
        renamed=tuple(sorted(renamed.items())),
        same=len(both) - len(changed),
    )


def _read(rows: Iterable[RawRow], names: list[str]) -> Rows:
    """Rows as numbers; new names of sources join the list."""
    found = Rows(array("Q"), array("Q"), array("L"))
    places = {name: place for place, name in enumerate(names)}
    for row in rows:
        if row.source not in places:
            places[row.source] = len(names)
            names.append(row.source)
        found.keys.append(row.key)
        found.contents.append(row.content)
        found.sources.append(places[row.source])
    return found


def _changed(before: Rows, after: Rows) -> Changed:
    """What is left where equal rows cancel out: a key with rows on both sides changed, on one side came or went."""
    keys = _joined(before.keys, after.keys, np.uint64)
    contents = _joined(before.contents, after.contents, np.uint64)
    sources = _joined(before.sources, after.sources, np.uint)
    sides = np.repeat(np.array([-1, 1], np.int64), [len(before.keys), len(after.keys)])
    order = np.lexsort((contents, keys))
    keys, contents, sources, sides = keys[order], contents[order], sources[order], sides[order]
    starts = _starts(keys, contents)
    net = np.add.reduceat(sides, starts) if len(starts) else sides
    differing = net != 0
    return _by_key(keys[starts][differing], sources[starts][differing], net[differing])


def _by_key(keys: Numbers, sources: Numbers, net: Numbers) -> Changed:
    starts = _starts(keys)
    come = np.add.reduceat(np.maximum(net, 0), starts) if len(starts) else net
    gone = np.add.reduceat(np.maximum(-net, 0), starts) if len(starts) else net
    changed = np.minimum(come, gone)
    counts = {"added": come - changed, "removed": gone - changed, "changed": changed}
    return Changed(keys[starts], sources[starts], counts)


def _joined(before: "array[int]", after: "array[int]", kind: Any) -> Numbers:
    return np.concatenate([np.frombuffer(side, kind) if side else np.empty(0, kind) for side in (before, after)])


def _starts(*columns: Numbers) -> Numbers:
    """Where a run of equal values begins, in sorted columns."""
    if not len(columns[0]):
        return np.empty(0, np.intp)
    new = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return np.flatnonzero(np.concatenate([[True], new]))


def _shown(changed: Changed, files: FileChanges, old: Path, new: Path) -> dict[int, str]:
    """Ids by key, of a few rows of each source and kind; the files are read again for them."""
    wanted = {
        kind: {
            int(key)
            for source in np.unique(changed.sources)
            for key in changed.keys[(changed.sources == source) & (count > 0)][:SHOWN]
        }
        for kind, count in changed.counts.items()
    }
    gone, come = wanted["removed"], wanted["added"] | wanted["changed"]
    ids = _ids(all_rows(old, [*files.removed, *files.changed]), gone)
    return ids | _ids(all_rows(new, [*files.added, *files.changed]), come)


def _ids(rows: Iterable[RawRow], wanted: set[int]) -> dict[int, str]:
    return {row.key: row.id for row in rows if row.key in wanted} if wanted else {}


def _by_source(changed: Changed, names: list[str], ids: Mapping[int, str]) -> tuple[SourceChanges, ...]:
    return tuple(
        _source(name, changed, changed.sources == place, ids)
        for name, place in sorted((name, place) for place, name in enumerate(names))
        if (changed.sources == place).any()
    )


def _source(name: str, changed: Changed, mine: Numbers, ids: Mapping[int, str]) -> SourceChanges:
    keys = changed.keys[mine]
    counts = {kind: count[mine] for kind, count in changed.counts.items()}
    examples = {kind: tuple(sorted(ids[int(key)] for key in keys[count > 0][:SHOWN])) for kind, count in counts.items()}
    return SourceChanges(
        source=name,
        added=int(counts["added"].sum()),
        removed=int(counts["removed"].sum()),
        changed=int(counts["changed"].sum()),
        examples={kind: shown for kind, shown in examples.items() if shown},
    )
