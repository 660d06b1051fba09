"""name=value pairs as a command line spells them, "stop=2%,time_stop=48", or as a mapping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from workbench.errors import UsageError

Item = TypeVar("Item")


def mapping_of(form: Mapping[str, Item] | None, *, what: str, example: str) -> dict[str, Item]:
    """Return a mapping as a dict, none as an empty one; UsageError for what is neither."""
    if form is None or isinstance(form, Mapping):
        return dict(form or {})
    raise UsageError(
        f"{what} are of type {type(form).__name__}; write them as text, {example!r}, or as a mapping"
    )


def pairs_of(text: str, *, what: str = "", example: str) -> dict[str, str]:
    """Return the pairs in the order of the text; UsageError where a part is none, or said twice.

    `what` says in the error whose pairs they are, `example` how to write them.
    """
    pairs: dict[str, str] = {}
    whose = f"{what}: " if what else ""
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value):
            raise UsageError(f"{whose}{part!r} is not name=value; write e.g. {example}")
        if name in pairs:
            raise UsageError(f"{whose}{name} is given twice in {text!r}; give it once")
        pairs[name] = value
    return pairs
