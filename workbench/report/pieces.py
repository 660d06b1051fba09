"""The pieces of a card: tiles, tables, notes, and the sheet around them."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

CARD: Final = (Path(__file__).parent / "tearsheet.css").read_text(encoding="utf-8")
Rows = Iterable[Sequence[str]]


def tiles(values: Mapping[str, str]) -> str:
    """Return figures as a row of tiles, each over its name."""
    cells = "".join(
        f'<div class="wb-tile"><b>{html.escape(value)}</b><span>{html.escape(name)}</span></div>'
        for name, value in values.items()
    )
    return f'<div class="wb-tiles">{cells}</div>'


def table(caption: str, head: Sequence[str], rows: Rows) -> str:
    """Return a table with its caption; everything in it is text."""
    names = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return (
        f'<table class="wb-figures"><caption>{html.escape(caption)}</caption>'
        f"<thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"
    )


def notes(said: Iterable[str]) -> str:
    """Return what must be said below."""
    return "".join(f'<p class="wb-note">{html.escape(note)}</p>' for note in said)


def card(parts: Iterable[str]) -> str:
    """Return the parts, those that are empty left out, in the dress of a tear sheet."""
    inner = "\n".join(part for part in parts if part)
    return f'<div class="wb-sheet wb-light"><style>{CARD}</style>\n{inner}\n</div>'


def joined(sources: Sequence[str]) -> str:
    """Join what several series came from; what one says like the one before is not said again."""
    said = list(sources[:1])
    for before, one in pairwise(sources):
        said.append(one.removeprefix(f"{before}, "))
    return " + ".join(said)
