"""Tidy tables on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

WIDTH = 120  # of a page that no terminal limits


def print_pairs(title: str, pairs: Mapping[str, str], *, notes: Sequence[str] = ()) -> None:
    """Print names and values in two columns."""
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(justify="right")
    for name, value in pairs.items():
        table.add_row(name, value)
    _print(title, table, notes)


def print_rows(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    notes: Sequence[str] = (),
    left: int = 0,
) -> None:
    """Print rows of text, right-aligned but for the first `left` columns."""
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for i, column in enumerate(columns):
        table.add_column(column.replace("_", " "), justify="left" if i < left else "right")
    for row in rows:
        table.add_row(*row)
    _print(title, table, notes)


def _print(title: str, table: Table, notes: Sequence[str]) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    console.print()
    console.print(f"  {title}", style="bold", highlight=False, markup=False)
    console.print(table)
    for note in notes:
        console.print(f"  {note}", style="dim", highlight=False, markup=False)
    console.print()
