"""Round trips of one backtest: folded by the core from its fills, shown as a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.backtest.kernels import trips_kernel
from workbench.core.trips import TRIP

if TYPE_CHECKING:
    pass


def round_trips(fills: np.ndarray, *, step: float, last_close: float) -> np.ndarray:
    """Return one TRIP record a round trip of FILL records, the open one last (`core.trips`)."""
    trips = np.zeros(len(fills), TRIP)
    return trips[: trips_kernel()(fills, step, last_close, trips)]


def profits_of(trips: np.ndarray) -> np.ndarray:
    """Return the profits of the closed round trips, in quote."""
    return np.ascontiguousarray(trips["pnl"][trips["exit_index"] >= 0])
