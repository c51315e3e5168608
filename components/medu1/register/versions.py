"""What the registry holds, as frozen data."""

from medu1.question import Frozen
from medu1.tracking import Tracking


class RegisteredModel(Frozen):
    """One version with its aliases and its lineage tags."""

    name: str
    version: str
    aliases: tuple[str, ...]
    lineage: dict[str, str]
    source: str  # where its files are


def versions(tracking: Tracking) -> list[RegisteredModel]:
    """Every version of every registered model, newest first within a name."""
    client = tracking.client
    found = []
    for model in client.search_registered_models():
        aliases: dict[str, list[str]] = {}
        for alias, version in model.aliases.items():
            aliases.setdefault(str(version), []).append(alias)
        for version in client.search_model_versions(f"name = '{model.name}'"):
            number = str(version.version)
            found.append(
                RegisteredModel(
                    name=model.name,
                    version=number,
                    aliases=tuple(sorted(aliases.get(number, []))),
                    lineage=dict(version.tags),
                    source=version.source or "",
                )
            )
    return sorted(found, key=lambda one: (one.name, -int(one.version)))
