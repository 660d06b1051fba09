"""The records that a decision function sees and writes: position and intent (contract version 1).

`decide(state, candle, position, params, intent)` gets one record of each. It reads candle and
position, keeps what it must remember in state, and writes what it wants into intent. All of them
are plain C structs, so the same compiled function runs in the sweep, the event-driven backtest and
the runner process, and a snapshot of them is their bytes.

The intent comes empty at every candle (see `intents`): levels hold until the next close and no longer,
so a stop that shall stay is written at every candle. `position.exit_reason` is 0, or why a protective
exit closed the last position (`exits`), until the next buy.
"""

from __future__ import annotations

import numpy as np
from numba import config

CONTRACT = 1
LADDER_SIZE = 64

POSITION = np.dtype(
    [
        ("quantity", "<f8"),
        ("entry_price", "<f8"),
        ("cash", "<f8"),
        ("equity", "<f8"),
        ("realised", "<f8"),
        ("bars_held", "<i4"),
        ("exit_reason", "<i1"),
        ("ladder_filled", "<u8"),
    ],
    align=True,
)

RUNG = np.dtype(
    [("id", "<i4"), ("side", "<i1"), ("price", "<f8"), ("quote", "<f8"), ("pair_price", "<f8")],
    align=True,
)

INTENT = np.dtype(
    [
        ("target", "<f8"),
        ("stop", "<f8"),
        ("take_profit", "<f8"),
        ("trail", "<f8"),
        ("revision", "<i4"),
        ("n_ladder", "<i4"),
        ("ladder", RUNG, (LADDER_SIZE,)),
    ],
    align=True,
)


def readable(records: np.ndarray) -> np.ndarray:
    """Return records as they are; where the compiler is off, in a form whose fields Python can read.

    That form costs Python microseconds a field.
    """
    return records.view(np.recarray) if config.DISABLE_JIT else records  # type: ignore[attr-defined]


def empty_intent() -> np.ndarray:
    """Return an intent that wants nothing: no opinion on the target, no exits, no ladder."""
    intent = np.zeros((), INTENT)
    intent["target"] = np.nan
    return intent
