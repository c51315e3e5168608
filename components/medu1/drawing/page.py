"""The frame every page a person reads shares: one look, one policy, and templates that escape whatever data says.

A step's template stands beside its code and extends `page.html.jinja`, which lets a page load or run nothing.
"""

from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from medu1.drawing.percent import percent

LONGEST_NAME: Final = 200  # characters of what data calls something


def environment(templates: Path) -> Environment:
    """For the templates of a folder and the frame; a name a template misspells is an error."""
    made = Environment(
        loader=FileSystemLoader([templates, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"percent": percent, "name": name}
    return made


def name(text: str) -> str:
    """What data calls something, at a length that leaves a table readable."""
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}…"
