"""What an endpoint's schedules lack to be those of the file, and the acts that make them so.

A recurring run cannot be changed in place, only switched on and off. So a change is: make the new one, switched off;
switch the old one off; switch the new one on; delete the old one. Two of one name never fire; killed between the two
switches none fires until the next `apply`, which ends it. A new schedule that replaces none that fires is made switched
on.

Every round looks at the endpoint anew and plans from what it finds, and the work is done when a look finds nothing to
do. So an `apply` that was killed, or whose answers were lost, is finished by the next one: what it made bears the
file's digest and is kept, everything else of that name goes. Of several that are right the oldest stays: two applies of
the same file at once may both make one, and each that finds two deletes the younger. Two applies of different files at
once undo each other until one of them, or both, come to no rest within some rounds and say so.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple, Protocol

from medu1.errors import Stop
from pipelines.terms import FieldDifference, Held, Scope, Terms, differing

ROUNDS: Final = 6  # make, switch, look: three, and as many again where another apply is at work

Kind = Literal["added", "changed", "edited", "paused", "running", "copies", "removed"]


class Wanted(NamedTuple):
    """A schedule of the file."""

    terms: Terms
    enabled: bool


class Act(NamedTuple):
    """One call that changes the endpoint."""

    verb: Literal["create", "disable", "enable", "delete"]
    name: str
    id: str = ""  # "" of one to be made
    enabled: bool = True  # of one to be made


class Difference(NamedTuple):
    """Why a schedule is not as the file has it."""

    name: str
    kind: Kind
    fields: tuple[FieldDifference, ...] = ()


class Applied(NamedTuple):
    """What was otherwise than in the file, and what was done about it, in order."""

    before: list[Difference]
    done: list[Act]


class Endpoint(Protocol):
    """Where the schedules live."""

    def held(self) -> Sequence[Held]:
        """Every recurring run of the namespace."""

    def create(self, name: str, wanted: Wanted, enabled: bool) -> None:
        """Make one with our mark."""

    def enable(self, id: str) -> None:
        """Raises Stop where it is gone."""

    def disable(self, id: str) -> None:
        """Raises Stop where it is gone."""

    def delete(self, id: str) -> None:
        """Nothing where it is gone."""


def ours(held: Iterable[Held], scope: Scope) -> dict[str, list[Held]]:
    """The schedules of a scope by name, the oldest first."""
    found: dict[str, list[Held]] = {}
    for each in sorted(held, key=lambda each: (each.created, each.id)):
        if name := each.name(scope):
            found.setdefault(name, []).append(each)
    return found


def differences(
    wanted: Mapping[str, Wanted], owned: Mapping[str, Sequence[Held]], prune: bool = True
) -> list[Difference]:
    """By name. Empty exactly where `plan` is."""
    named = (each for name in wanted for each in _of_one(name, wanted[name], owned.get(name, ())))
    gone = (Difference(name, "removed") for name in owned if prune and name not in wanted)
    return sorted([*named, *gone])


def _of_one(name: str, wanted: Wanted, owned: Sequence[Held]) -> Iterator[Difference]:
    right = _right(wanted, owned)
    if not owned:
        yield Difference(name, "added")
    elif right is None:
        yield _wrong(name, wanted, next((each for each in reversed(owned) if each.enabled), owned[-1]))
    elif right.enabled != wanted.enabled:
        yield Difference(name, "paused" if wanted.enabled else "running")
    if len(owned) > 1:
        yield Difference(name, "copies", (FieldDifference("schedules of this name", 1, len(owned)),))


def _wrong(name: str, wanted: Wanted, held: Held) -> Difference:
    fields = tuple(differing(wanted.terms, held.terms))
    if held.digest == wanted.terms.digest:
        return Difference(name, "edited", fields)
    return Difference(name, "changed", fields or (FieldDifference("digest", wanted.terms.digest, held.digest),))


def _right(wanted: Wanted, owned: Iterable[Held]) -> Held | None:
    """The oldest that is what the file asks for."""
    return next((each for each in owned if _is(wanted.terms, each)), None)


def _is(wanted: Terms, held: Held) -> bool:
    return held.digest == wanted.digest and not any(differing(wanted, held.terms))


def plan(wanted: Mapping[str, Wanted], owned: Mapping[str, Sequence[Held]], prune: bool = True) -> list[Act]:
    """What to do next, in order; once a schedule is made, the next look plans what follows from it."""
    acts = [act for name in sorted(wanted) for act in _acts(name, wanted[name], owned.get(name, ()))]
    gone = [each for name in sorted(owned) if prune and name not in wanted for each in owned[name]]
    return [*acts, *(Act("delete", name=_named(each, owned), id=each.id) for each in gone)]


def _named(held: Held, owned: Mapping[str, Sequence[Held]]) -> str:
    return next(name for name, those in owned.items() if held in those)


def _acts(name: str, wanted: Wanted, owned: Sequence[Held]) -> Iterator[Act]:
    keep = _right(wanted, owned)
    if keep is None:
        yield Act("create", name, enabled=wanted.enabled and not any(each.enabled for each in owned))
        return
    others = [each for each in owned if each.id != keep.id]
    yield from (Act("disable", name, each.id) for each in others if each.enabled)
    if keep.enabled != wanted.enabled:
        yield Act("enable" if wanted.enabled else "disable", name, keep.id)
    yield from (Act("delete", name, each.id) for each in others)


def apply(endpoint: Endpoint, scope: Scope, wanted: Mapping[str, Wanted], prune: bool = True) -> Applied:
    """Make the endpoint agree. Raises Stop that says what was done before it."""
    before: list[Difference] | None = None
    done: list[Act] = []
    for _ in range(ROUNDS):
        held = endpoint.held()
        check_names(held, scope, wanted)
        owned = ours(held, scope)
        before = differences(wanted, owned, prune) if before is None else before
        acts = plan(wanted, owned, prune)
        if not acts:
            return Applied(before, done)
        for act in acts:
            _do(endpoint, act, wanted, done)
    raise Stop(
        f"The schedules of {scope.owner} in {scope.environment} do not come to rest.",
        "Something else changes them at the same time, such as a second apply of another version of the file.",
        "Let it end, then run `medu1 schedule diff`, and apply again.",
    )


def _do(endpoint: Endpoint, act: Act, wanted: Mapping[str, Wanted], done: list[Act]) -> None:
    try:
        match act.verb:
            case "create":
                endpoint.create(act.name, wanted[act.name], act.enabled)
            case "enable":
                endpoint.enable(act.id)
            case "disable":
                endpoint.disable(act.id)
            case "delete":
                endpoint.delete(act.id)
    except Stop as stop:
        before = ", ".join(f"{each.verb} {each.name}" for each in done) or "nothing"
        resting = f"; none of {act.name} fires until then" if act.verb == "enable" else ""
        raise Stop(
            f"{act.verb} {act.name}: {stop.fact}",
            f"{stop.reason} Done before it: {before}.".strip(),
            f"{stop.next_step} Then apply again: it goes on from there, and nothing is made twice{resting}.".strip(),
        ) from None
    done.append(act)


def check_names(held: Iterable[Held], scope: Scope, wanted: Iterable[str]) -> None:
    """Raises Stop where a schedule that is not ours bears a name that we would use."""
    names = {scope.display(name) for name in wanted}
    if foreign := sorted({each.display for each in held if each.display in names and each.name(scope) is None}):
        raise Stop(
            f"The endpoint has schedules of these names that are not this file's: {', '.join(foreign)}.",
            "They lack its mark, so someone else made them. They are not touched; a second of the name would fire too.",
            "Delete or rename them on the endpoint, or rename yours. Nothing was changed.",
        )
