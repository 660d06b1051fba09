"""name=value pairs as a command line spells them: "stop=2%,time_stop=48"."""

from __future__ import annotations

from workbench.errors import UsageError


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
