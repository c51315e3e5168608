"""What the registry holds, as frozen data."""

from medu1.question import Frozen
from medu1.register import trail
from medu1.register.trail import LOG_OF
from medu1.tracking import Tracking


class RegisteredModel(Frozen):
    """One version with its aliases and its lineage tags."""

    name: str
    version: str
    aliases: tuple[str, ...]
    lineage: dict[str, str]
    source: str  # where its files are


def versions(tracking: Tracking) -> list[RegisteredModel]:
    """Every version of every registered model but the promotion logs, newest first within a name."""
    with trail.telling("its versions were listed"):
        return [one for name in _names(tracking) for one in reversed(_versions(tracking, name))]


def _names(tracking: Tracking) -> list[str]:
    found, token = list[str](), None
    while True:
        page = tracking.client.search_registered_models(page_token=token)
        found += [model.name for model in page if LOG_OF not in model.tags]
        token = page.token
        if not token:
            return sorted(found)


def _versions(tracking: Tracking, name: str) -> list[RegisteredModel]:
    tracking.models.settle(name)
    aliases: dict[str, list[str]] = {}
    for alias, number in sorted(tracking.models.aliases(name).items()):
        aliases.setdefault(number, []).append(alias)
    return [
        RegisteredModel(
            name=name,
            version=str(version.version),
            aliases=tuple(aliases.get(str(version.version), [])),
            lineage=dict(version.tags),
            source=version.source or "",
        )
        for version in tracking.models.versions(name)
    ]
