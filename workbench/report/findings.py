"""What a report found, said once in a form that people, the run record and the index all read."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from workbench.report import numbers
from workbench.report.record import Value

MIME: Final = "application/vnd.workbench.findings+json"


@dataclass(frozen=True, slots=True)
class Findings:
    """Named results of one report run; shows itself as a line and as JSON for the record."""

    values: dict[str, Value]

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> dict[str, str | list[list[Value]]]:
        plain = " · ".join(f"{_spoken(name)} {write(name, v)}" for name, v in self.values.items())
        marked = f'<p class="findings">{html.escape(plain)}</p>'
        return {"text/plain": plain, "text/html": marked, MIME: _pairs(self.values)}


def findings(**values: Value) -> Findings:
    """State what a report found: the numbers of its conclusion, the data's source and its hash."""
    return Findings(values)


def collect(outputs: Iterable[Mapping[str, object]]) -> dict[str, Value]:
    """Return all findings among a notebook's outputs; a later one overrides an earlier."""
    found: dict[str, Value] = {}
    for output in outputs:
        data = output.get("data")
        stated = data.get(MIME) if isinstance(data, Mapping) else None
        if isinstance(stated, list):
            found |= {str(name): value for name, value in stated}
    return found


def write(name: str, value: Value) -> str:
    """Write one finding: ratios in percent, hashes short, counts whole."""
    if isinstance(value, bool) or value is None:
        return numbers.MISSING if value is None else str(value).lower()
    if isinstance(value, str):
        return value[:12] if name.endswith("sha256") else value
    if name in numbers.RATIOS:
        return numbers.percent(value, 1, sign=name.endswith("return"))
    return numbers.count(value) if isinstance(value, int) else numbers.plain(value, 2)


def _pairs(values: Mapping[str, Value]) -> list[list[Value]]:
    """Return pairs, which keep their order in a notebook; JSON has no NaN, so that becomes None."""
    return [
        [name, None if isinstance(value, float) and not math.isfinite(value) else value]
        for name, value in values.items()
    ]


def _spoken(name: str) -> str:
    return name.replace("_", " ").replace("data sha256", "data")
