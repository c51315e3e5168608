"""Another champion: `promote` to a version that beat the present one, `rollback` to the one before.

Both look first and write last: they settle what an earlier command left, refuse what is not proven, add one entry to
the log, and read off the log whether it was in time. So a refusal changes nothing, of two at once exactly one moves the
champion, and the same command again finishes what a killed one began or says that it is done.
"""

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from medu1.errors import Stop
from medu1.promotions import State
from medu1.question import Frozen
from medu1.register import files, hook, trail
from medu1.register.trail import EVALUATION, LOG_OF, Request
from medu1.registered_models import WEIGHTS
from medu1.tracking import Tracking

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

CHAMPION = "medu1.champion"  # tag of a version: weights digest of the champion it was judged against; "" the base
LIST = "`medu1 versions` lists what there is."


class Promoted(Frozen):
    """The champion after a promotion or rollback."""

    name: str
    version: str
    replaced: str  # the champion before; "" none
    entry: int | None  # of the log, that made it champion; None where there is no log yet
    already: bool  # nothing was to be done


def promote(tracking: Tracking, name: str, asked: str, who: str, why: str) -> Promoted:
    """Make a version, named by number or alias, the champion.

    Raises Stop, the registry unchanged: there is no such version, it was judged against another champion than the
    present one, its files are not those registered. Raises Stop too where another promotion came first, and where the
    hook was not told: then the promotion stands.
    """
    wanted = trail.request("promote", asked, who, why)
    with trail.telling(f"{asked} of {name} was promoted"):
        done = _promoted(tracking, name, wanted)
        hook.deliver(tracking, name)
        return done


def rollback(tracking: Tracking, name: str, who: str, why: str) -> Promoted:
    """Make the champion before the present one champion again; the present one is then the one before.

    The same reason given twice is one rollback. Raises Stop, the registry unchanged: there was none before, it is gone,
    its files are not those registered. Raises Stop too where the hook was not told: then the rollback stands.
    """
    wanted = trail.request("rollback", "previous", who, why)
    with trail.telling(f"{name} was rolled back"):
        done = _rolled_back(tracking, name, wanted)
        hook.deliver(tracking, name)
        return done


def _promoted(tracking: Tracking, name: str, wanted: Request) -> Promoted:
    state = tracking.models.settle(name)
    version = _find(tracking, name, wanted, state)
    if version is None or str(version.version) == state.champion:
        return _standing(name, state)
    _check_evidence(tracking, version, state)
    files.check(tracking, version)
    return _moved(tracking, name, wanted, version, state)


def _rolled_back(tracking: Tracking, name: str, wanted: Request) -> Promoted:
    state = tracking.models.settle(name)
    if wanted.is_of(state.last):
        return _standing(name, state)
    version = _previous(tracking, name, state)
    files.check(tracking, version)
    return _moved(tracking, name, wanted, version, state)


def _moved(tracking: Tracking, name: str, wanted: Request, version: "ModelVersion", state: State) -> Promoted:
    target = str(version.version)
    after = trail.enter(tracking, name, wanted, target, version.tags, state.champion)
    if after.champion == target:
        return _standing(name, after, already=not wanted.is_of(after.last))
    last = after.last
    raise Stop(
        f"Version {target} of {name} is not champion: version {after.champion} became it at the same time.",
        f"Entry {last.number} of the log, by {last.who}: {last.why}." if last else "",
        f"`medu1 history --name {name}` shows both; run the chain again to be judged against version {after.champion}.",
    )


def _standing(name: str, state: State, already: bool = True) -> Promoted:
    return Promoted(
        name=name,
        version=state.champion,
        replaced=state.previous,
        entry=state.last.number if state.last else None,
        already=already,
    )


def _check_evidence(tracking: Tracking, version: "ModelVersion", state: State) -> None:
    named = f"Version {version.version} of {version.name}"
    against = version.tags.get(CHAMPION)
    if against is None or not version.tags.get(EVALUATION):
        raise Stop(
            f"{named} carries no evidence that it is better than the champion.",
            "Its tags name no evaluation, or no champion that it was judged against.",
            "Run the chain: it registers a candidate with its evaluation.",
        )
    if against != (weights := _weights(tracking, version.name, state)):
        champion = f"version {state.champion}, weights {weights[:12]}" if state.champion else "none"
        raise Stop(
            f"{named} was judged against {f'weights {against[:12]}' if against else 'the base'}, "
            f"and the champion is {champion}.",
            "Evidence against a champion that has been replaced says nothing about the present one.",
            "Run the chain again: it judges the candidate against the present champion.",
        )


def _weights(tracking: Tracking, name: str, state: State) -> str:
    """Of the champion; the log knows them where its version is deleted."""
    if state.last:
        return state.last.weights
    found = tracking.models.version(name, state.champion) if state.champion else None
    return found.tags.get(WEIGHTS, "") if found else ""


def _previous(tracking: Tracking, name: str, state: State) -> "ModelVersion":
    if not state.champion:
        raise Stop(f"{name} has no champion to roll back from.", "No version was promoted.", LIST)
    if not state.previous:
        raise Stop(
            f"Version {state.champion} is the first champion of {name}: there is none to roll back to.",
            next_step="Promote another version instead.",
        )
    found = tracking.models.version(name, state.previous)
    if found is None:
        raise Stop(
            f"Version {state.previous} of {name}, the champion before, is not in the registry.",
            "It was deleted there.",
            "Promote another version instead.",
        )
    return found


def _find(tracking: Tracking, name: str, wanted: Request, state: State) -> "ModelVersion | None":
    """The version that is asked for; None where it is the champion by now, and the alias it was asked by is gone."""
    versions, aliases = tracking.models.versions(name), tracking.models.aliases(name)
    found = {str(version.version): version for version in versions}
    number = aliases.get(wanted.asked, wanted.asked)
    if number in found:
        return found[number]
    if wanted.asked not in aliases and wanted.is_of(state.last):
        return None
    if not found:
        raise _no_model(tracking, name)
    what = "version" if wanted.asked.isdecimal() else "alias"
    raise Stop(f"{name} has no {what} {wanted.asked}{_nearest(wanted.asked, aliases)}.", _there(found, aliases), LIST)


def _there(found: Iterable[str], aliases: dict[str, str]) -> str:
    by = {number: [alias for alias, each in sorted(aliases.items()) if each == number] for number in found}
    told = [f"{number} ({', '.join(names)})" if names else number for number, names in by.items()]
    return f"It has version {', '.join(told[-10:])}."


def _no_model(tracking: Tracking, name: str) -> Stop:
    others = [model.name for model in tracking.client.search_registered_models() if LOG_OF not in model.tags]
    held = f"It has {', '.join(sorted(others))}." if others else "It is empty."
    return Stop(
        f"The registry has no version of {name}{_nearest(name, others)}.", held, "Run the chain, or correct --name."
    )


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}" if near and near[0] != word else ""
