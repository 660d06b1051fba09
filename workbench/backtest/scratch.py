"""The scratch record of one simulation: account, position, intent, order and the fill being made."""

from __future__ import annotations

import numpy as np

from workbench.core.account import ACCOUNT, FILL
from workbench.core.ladder import LADDER
from workbench.core.orders import ORDER
from workbench.core.records import INTENT, POSITION

BOOK = np.dtype(
    [
        ("account", ACCOUNT),
        ("position", POSITION),
        ("intent", INTENT),
        ("order", ORDER),
        ("fill", FILL),
        ("ladder", LADDER),
    ],
    align=True,
)

EQUITY = np.dtype(
    [
        ("equity", "<f8"),
        ("cash", "<f8"),
        ("quantity", "<f8"),
        ("target", "<f8"),  # what decide wrote at this close, NaN for no opinion
    ],
    align=True,
)
