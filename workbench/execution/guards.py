"""Guards as a caller writes them, and as the record that the kernel reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from workbench.core.guards import GUARDS
from workbench.errors import UsageError


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
    def of(cls, form: Guards | Mapping[str, float] | None) -> Guards:
        """Return guards from a mapping of their names; UsageError for an unknown one."""
        if isinstance(form, Guards):
            return form
        unknown = set(form or ()) - set(GUARDS.names or ())
        if unknown:
            raise UsageError(
                f"there is no guard {sorted(unknown)[0]!r}; there are {', '.join(GUARDS.names or ())}"
            )
        return cls(**(form or {}))  # type: ignore[arg-type]  # whole numbers are checked above

    @property
    def is_any(self) -> bool:
        """Return whether any guard is on."""
        return any(getattr(self, n) for n in GUARDS.names or () if n != "volatility_bars")

    def record(self) -> np.ndarray:
        """Return the GUARDS record (shape (1,)) that the kernel reads."""
        guards = np.zeros(1, GUARDS)
        for name in GUARDS.names or ():
            guards[name] = getattr(self, name)
        return guards


NO_GUARDS = Guards()
