"""The digests of the frozen sets: what says that two models were judged on the same questions.

Each source of each evaluation split is a set of its own, so a source that is added leaves the digests of the others as
they are, and figures on them stay comparable. A set has no order: of each question the SHA-256 of its canonical JSON is
kept, 32 bytes, and in the end they are sorted and hashed once more. Validation is among them, since a model may be
selected on it; the digest of the whole covers what models are judged on.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final, Self

from medu1.errors import Stop
from medu1.question import Question

JUDGED: Final = ("test", "ood")  # splits that models are judged on
EVALUATION: Final = ("validation", *JUDGED)
SIZE: Final = sha256().digest_size  # bytes a question


class FrozenSets:
    """An accumulator: every row goes through `add`, then ask for the digests. Training rows are passed over."""

    def __init__(self) -> None:
        self._held: defaultdict[str, bytearray] = defaultdict(bytearray)  # set -> its questions' digests, end to end

    @classmethod
    def of(cls, questions: Iterable[Question]) -> Self:
        """Of questions that lie in the splits they state."""
        made = cls()
        for question in questions:
            made.add(question.split or "", question.source, question.canonical())
        return made

    def add(self, split: str, source: str, canonical: str) -> None:
        """One question, by the split it is written to and its canonical JSON."""
        if split in EVALUATION:
            self._held[f"{split}/{source}"] += sha256(canonical.encode()).digest()

    def sets(self) -> dict[str, str]:
        """The digest of each set, by a name such as test/medqa, alphabetically."""
        return {name: _digest(self._held[name]) for name in sorted(self._held)}

    def sizes(self) -> dict[str, int]:
        """The questions of each set, in the same order."""
        return {name: len(self._held[name]) // SIZE for name in sorted(self._held)}

    def whole(self) -> str:
        """The digest of all questions that models are judged on."""
        return _digest(b"".join(held for name, held in self._held.items() if split_of(name) in JUDGED))


def split_of(name: str) -> str:
    """The split of a set: test for test/medqa."""
    return name.partition("/")[0]


def require(found: Mapping[str, str], frozen: Mapping[str, str], key: str) -> None:
    """Raises Stop where the sets read from the dataset `key` are not those of its manifest, naming each of them."""
    names = sorted(name for name in {*found, *frozen} if found.get(name) != frozen.get(name))
    if names:
        told = "; ".join(f"{name} is {_short(found, name)}, frozen as {_short(frozen, name)}" for name in names)
        raise Stop(
            f"The dataset {key} does not hold the questions that prepare froze: {told}.",
            "Figures on other questions cannot be compared with those of models judged before.",
            f"Delete {key} in the store and run the chain again: prepare makes it anew.",
        )


def _digest(held: bytes | bytearray) -> str:
    return sha256(b"".join(sorted(bytes(held[at : at + SIZE]) for at in range(0, len(held), SIZE)))).hexdigest()


def _short(digests: Mapping[str, str], name: str) -> str:
    return digests[name][:12] if name in digests else "absent"
