"""Notebooks whose numbers are checked need the recorded candles; without them they are skipped."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest

NEEDED = [
    (f"{base}USDT", interval)
    for base in ("BTC", "ETH", "ADA", "BNB", "SOL", "XRP")
    for interval in ("1h", "4h", "1d")
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the cells of notebooks marked `needs-real-data` where a recorded series is missing."""
    for item in items:
        if item.path.suffix == ".ipynb" and needs_real_data(item.path) and absent():
            item.add_marker(pytest.mark.skip(reason=absent()))


@functools.cache
def needs_real_data(notebook: Path) -> bool:
    """Return whether the notebook says that it needs recorded candles."""
    metadata = json.loads(notebook.read_text(encoding="utf-8"))["metadata"]
    return bool(metadata.get("needs-real-data", False))


@functools.cache
def absent() -> str:
    """Return why the recorded candles cannot be used, or nothing."""
    from workbench.data import available
    from workbench.errors import WorkbenchError

    try:
        recorded = available()
    except WorkbenchError as error:
        return f"needs recorded candles: {error}"
    held = set(zip(recorded["symbol"], recorded["interval"], strict=True))
    lacking = [" ".join(series) for series in NEEDED if series not in held]
    return f"needs recorded candles of {lacking[0]}; set WORKBENCH_DATA" if lacking else ""
