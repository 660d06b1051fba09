"""Guards as a caller writes them, and as the record that the kernel reads.

    trades_a_day, cooldown_bars, loss_streak, streak_pause_bars, volatility_bars   whole numbers
    daily_loss, drawdown, volatility        fractions, as text percents too: 0.05 or "5%"

0 is off. As text, the way the command line takes it: "daily_loss=5%,cooldown_bars=3". What each of
them holds back is said in `workbench.core.guards`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from workbench.core.guards import GUARDS, holds_back
from workbench.core.records import readable
from workbench.errors import UsageError
from workbench.execution.pairs import mapping_of, pairs_of

EXAMPLE = "daily_loss=5%,cooldown_bars=3"


@dataclass(frozen=True, slots=True)
class Guards:
    """When an instance may not buy, and how large it may be: see `workbench.core.guards`; 0 is off.

    `daily_loss` and `drawdown` are fractions of the equity, `volatility` a year's. Raises UsageError
    for a value that is negative or not finite, or a fraction of 1 or more.
    """

    trades_a_day: int = 0
    daily_loss: float = 0.0
    drawdown: float = 0.0
    cooldown_bars: int = 0
    loss_streak: int = 0
    streak_pause_bars: int = 0
    volatility: float = 0.0
    volatility_bars: int = 30

    def __post_init__(self) -> None:
        for name in GUARDS.names or ():
            value = getattr(self, name)
            whole = GUARDS[name].kind == "i"
            most = 1.0 if name in ("daily_loss", "drawdown") else 2**31
            least = 2 if name == "volatility_bars" else 0
            if not least <= value < most or (whole and value != int(value)):
                raise UsageError(
                    f"guards: {name}={value} is out of range; it takes {'whole ' * whole}numbers from "
                    f"{least} to below {most:g}"
                )

    @classmethod
    def of(cls, form: GuardsForm) -> Guards:
        """Return guards from a mapping of their names, or from text; UsageError for an unknown one."""
        if isinstance(form, Guards):
            return form
        given = (
            pairs_of(form, what="guards", example=EXAMPLE)
            if isinstance(form, str)
            else mapping_of(form, what="guards", example=EXAMPLE)
        )
        unknown = set(given) - set(GUARDS.names or ())
        if unknown:
            raise UsageError(
                f"there is no guard {sorted(unknown)[0]!r}; there are {', '.join(GUARDS.names or ())}"
            )
        values = {name: _number(name, value) for name, value in given.items()}
        return cls(**values)  # type: ignore[arg-type]  # whole numbers are checked as values

    @property
    def is_any(self) -> bool:
        """Return whether any guard is on."""
        return any(getattr(self, n) for n in GUARDS.names or () if n != "volatility_bars")

    @property
    def holds_back(self) -> bool:
        """Return whether any guard could ever refuse a buy."""
        return bool(holds_back(readable(self.record())[0]))

    def record(self) -> np.ndarray:
        """Return the GUARDS record (shape (1,)) that the kernel reads."""
        guards = np.zeros(1, GUARDS)
        for name in GUARDS.names or ():
            guards[name] = getattr(self, name)
        return guards


NO_GUARDS = Guards()
_EXAMPLES = ("5% or 0.05", "3")  # of a share, of a count
GuardsForm = Guards | Mapping[str, float | str] | str | None


def _number(name: str, value: object) -> float:
    """Return a value as a number, whole where it counts; UsageError where it is none."""
    text = str(value).strip()
    counts = GUARDS[name].kind == "i"
    try:
        number = float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
    except ValueError:
        number = math.nan
    if isinstance(value, bool) or (math.isnan(number) and text != "nan"):
        raise UsageError(
            f"guards: {name}={value!r} is not a number; write {name}={_EXAMPLES[counts]}"
        )
    if counts and text.endswith("%"):
        raise UsageError(f"guards: {name}={text} is a count, no share; write {name}=3")
    return int(number) if counts and number.is_integer() else number
