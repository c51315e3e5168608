"""The model card of a version: what it was made from, in the registry's own description."""

import json
from collections.abc import Mapping

from medu1.tracking import KEY, WEIGHTS

SETS = "medu1.sets"  # set, such as test/medqa -> digest, as JSON

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
    return "\n".join([*head, *rows, *_sets(tags)])


def _sets(tags: Mapping[str, str]) -> list[str]:
    """The frozen questions it was judged on, by split and source."""
    found = json.loads(tags.get(SETS, "{}"))
    return ["- judged on the sets", *(f"  - {name}: `{digest}`" for name, digest in found.items())] if found else []
