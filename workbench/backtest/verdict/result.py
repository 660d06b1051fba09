"""A verdict: gates with what was found and what is asked, one colour, and why in one sentence.

red            a gate failed that nothing makes up for: data, look-ahead, warm-up, break-even cost, the
               deflated Sharpe ratio, or a probability of overfitting above one half
insufficient   else: too few trades or days to say anything
amber          else: any other gate was missed, or could not be asked
green          every gate was passed; that is a statement about this past, not a promise
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from workbench.strategies.spec import Number


class Outcome(StrEnum):
    """How a gate came out, the gravest first."""

    FAILED = "failed"
    TOO_LITTLE = "too little"
    MISSED = "missed"
    UNDECIDED = "undecided"
    PASSED = "passed"


class Colour(StrEnum):
    """What all gates come to."""

    RED = "red"
    INSUFFICIENT = "insufficient"
    AMBER = "amber"
    GREEN = "green"


_COLOURS = {
    Outcome.FAILED: Colour.RED,
    Outcome.TOO_LITTLE: Colour.INSUFFICIENT,
    Outcome.MISSED: Colour.AMBER,
    Outcome.UNDECIDED: Colour.AMBER,
    Outcome.PASSED: Colour.GREEN,
}
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate: what was found, what is asked, how it came out; `number` is the value, NaN for none."""

    name: str
    found: str
    asked: str
    outcome: Outcome
    number: float = math.nan
    told: str = ""

    def row(self) -> dict[str, object]:
        """Return the gate as JSON values."""
        return {
            "gate": self.name,
            "value": self.number if math.isfinite(self.number) else None,
            "found": self.found,
            "threshold": self.asked,
            "outcome": self.outcome.value,
            "told": self.told,
        }


def colour_of(gates: Iterable[Gate]) -> Colour:
    """Return the colour that the gravest outcome has."""
    order = list(Outcome)
    gravest = min((gate.outcome for gate in gates), key=order.index, default=Outcome.PASSED)
    return _COLOURS[gravest]


def why(gates: tuple[Gate, ...]) -> str:
    """Return in one sentence which gates made the colour."""
    colour = colour_of(gates)
    if colour is Colour.GREEN:
        return f"All {len(gates)} gates were passed, on this past."
    made = [gate for gate in gates if _COLOURS[gate.outcome] is colour]
    order = list(Outcome)
    made.sort(key=lambda gate: order.index(gate.outcome))
    named = "; ".join(f"{gate.name} {gate.found} ({gate.asked})" for gate in made[:_MOST_NAMED])
    more = len(made) - _MOST_NAMED
    return f"{named[0].upper()}{named[1:]}{f'; and {more} more' if more > 0 else ''}."


@dataclass(frozen=True, slots=True)
class CostRow:
    """What is left of the chosen set at so many times the assumed cost, or when its orders come late."""

    label: str
    total_return: float | None
    sharpe: float | None
    trades: int


@dataclass(frozen=True)
class VerdictResult:
    """What can be said of one parameter set after all that was tried.

    `figures` are the numbers behind the gates by name; None where one cannot be computed.
    """

    title: str
    source: str
    params: dict[str, Number]
    exits: str
    chosen: str  # how it was chosen
    gates: tuple[Gate, ...]
    figures: dict[str, float | int | None]
    costs: tuple[CostRow, ...] = ()
    delays: tuple[CostRow, ...] = ()
    quarters: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def colour(self) -> Colour:
        """Return red, insufficient, amber or green."""
        return colour_of(self.gates)

    @property
    def why(self) -> str:
        """Return in one sentence what made the colour."""
        return why(self.gates)

    @property
    def years(self) -> dict[str, list[float | None]]:
        """Return the returns of the four quarters of each year, None where it was not traded."""
        names = sorted({quarter[:4] for quarter in self.quarters})
        return {
            year: [self.quarters.get(f"{year}Q{number}") for number in (1, 2, 3, 4)]
            for year in names
        }

    def gate(self, name: str) -> Gate:
        """Return the gate of this name."""
        return next(one for one in self.gates if one.name == name)

    def to_dict(self) -> dict[str, object]:
        """Return what `workbench verdict --json` prints."""
        return {
            "verdict": self.colour.value,
            "why": self.why,
            "title": self.title,
            "params": self.params,
            "exits": self.exits,
            "chosen": self.chosen,
            "gates": [gate.row() for gate in self.gates],
            "figures": self.figures,
            "costs": [_plain(row) for row in self.costs],
            "delays": [_plain(row) for row in self.delays],
            "quarters": self.quarters,
            "source": self.source,
            "notes": list(self.notes),
            "seconds": round(self.seconds, 3),
        }

    def __repr__(self) -> str:
        width = max(len(gate.name) for gate in self.gates)
        values = max(len(gate.found) for gate in self.gates)
        lines = [
            f"  {gate.outcome.value:<10}  {gate.name:<{width}}  {gate.found:<{values}}  {gate.asked}".rstrip()
            for gate in self.gates
        ]
        return "\n".join([f"{self.colour.value.upper()}: {self.title}", f"  {self.why}", *lines])


def _plain(row: CostRow) -> dict[str, object]:
    return {
        "label": row.label,
        "total_return": row.total_return,
        "sharpe": row.sharpe,
        "trades": row.trades,
    }
