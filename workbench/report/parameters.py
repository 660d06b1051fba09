"""Report parameters: what a notebook declares in its `parameters` cell, and texts read as such.

The default says the type: `fast = 12` takes whole numbers, `symbol = "BTCUSDT"` takes text. An
unknown name is an error, and so is one that looks like a secret: papermill writes parameters into
the notebook, its metadata and its log.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from workbench.errors import UsageError
from workbench.report.record import Value

SECRET_WORDS: Final = ("secret", "token", "passw", "passphrase", "apikey", "api_key", "private")
TRUTHS: Final = {"true": True, "false": False}


def declared(notebook: Path) -> dict[str, Value]:
    """Return names and defaults of the notebook's `parameters` cell, in order."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    tagged = [c for c in cells if "parameters" in c.get("metadata", {}).get("tags", [])]
    if len(tagged) != 1:
        raise UsageError(
            f"{notebook.name} has {len(tagged)} cells tagged `parameters`; a report has exactly one"
        )
    defaults: dict[str, Value] = {}
    for statement in ast.parse("".join(tagged[0]["source"])).body:
        target = _target(statement)
        if target is None:
            continue
        name, value = target
        try:
            defaults[name] = ast.literal_eval(value)
        except ValueError as error:
            raise UsageError(
                f"parameter {name} of {notebook.name} is not a plain value; write it as a literal"
            ) from error
    return defaults


def parse(texts: Sequence[str], defaults: Mapping[str, Value]) -> dict[str, Value]:
    """Read `name=value` texts by the types of the defaults; UsageError says what was expected."""
    values: dict[str, Value] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"parameter {text!r} has no value; write it as name=value")
        check_names([name], defaults)
        values[name] = _read(name, value, defaults[name])
    return values


def check_names(names: Sequence[str], defaults: Mapping[str, Value]) -> None:
    """Refuse names that the notebook does not declare or that look like secrets."""
    for name in names:
        if any(word in name.lower() for word in SECRET_WORDS):
            raise UsageError(
                f"parameter {name!r} looks like a secret; parameters are written into the report"
            )
        if name not in defaults:
            known = ", ".join(defaults) or "none"
            raise UsageError(f"parameter {name!r} is unknown; the notebook has {known}")


def _target(statement: ast.stmt) -> tuple[str, ast.expr] | None:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value = statement.targets[0], statement.value
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        target, value = statement.target, statement.value
    else:
        return None
    return (target.id, value) if isinstance(target, ast.Name) else None


def _read(name: str, text: str, default: Value) -> Value:
    try:
        if isinstance(default, bool):
            return TRUTHS[text.lower()]
        if isinstance(default, int):
            return int(text)
        if isinstance(default, float) and math.isfinite(float(text)):
            return float(text)
    except (KeyError, ValueError):
        pass
    else:
        if isinstance(default, str):
            return text
        if default is None:
            return None if text.lower() in ("", "none") else text
    kind = type(default).__name__
    raise UsageError(f"parameter {name}={text!r} is not of type {kind}, as its default {default!r}")
