"""The model card of a version: what it was made from, in the registry's own description."""

from collections.abc import Mapping

from medu1.tracking import KEY, WEIGHTS

LINES = {
    "base": "medu1.base",
    "data (DVC)": "medu1.data",
    "judged on": "medu1.frozen",
    "commit": "medu1.commit",
    "weights": WEIGHTS,
    "folder in the store": KEY,
}


def card(name: str, tags: Mapping[str, str]) -> str:
    """Markdown; the tags hold the same, for machines."""
    rows = [f"- {label}: `{tags[key]}`" for label, key in LINES.items() if tags.get(key)]
    head = [f"# {name}", "", "A medical reasoning model retrained with GRPO. For research: not for use in care.", ""]
    return "\n".join([*head, *rows])
