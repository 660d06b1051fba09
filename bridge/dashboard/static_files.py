"""The scripts and the style sheet of the widgets, read from the package beside this file."""

from __future__ import annotations

from functools import cache
from pathlib import Path

STATIC = Path(__file__).parent / "static"


@cache
def style_sheet() -> str:
    """Return the style sheet that all widgets share."""
    return (STATIC / "theme.css").read_text(encoding="utf-8")


@cache
def script(name: str) -> str:
    """Return a widget's script as one ES module, with the few lines that all of them share."""
    return (STATIC / "dom.js").read_text(encoding="utf-8") + (STATIC / name).read_text(
        encoding="utf-8"
    )
