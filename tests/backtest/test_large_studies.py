"""A study of 100,000 backtests on the shared candles needs the memory of a small one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from tests.conftest import shared_path

STUDY = """
import sys
from pathlib import Path
import workbench as wb

result = wb.study(
    symbols=["BTCUSDT", "ETHUSDT", "ADAUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT"],
    intervals=["1h", "4h", "1d"],
    windows=[{"days": days, "end": "2025-10-01"} for days in (30, 90, 180, 365)],
    strategy=wb.strategies.macd,
    params={"fast": range(2, 2 + int(sys.argv[1])), "slow": range(20, 60, 2),
            "signal": (3, 5, 7, 9, 11)},
    out=sys.argv[2],
    progress=False,
)
lines = Path("/proc/self/status").read_text().splitlines()  # ru_maxrss would count the parent's too
print(len(result), next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024)
"""


def run(fasts: int, out: Path) -> tuple[int, float]:
    """Run a study in a process of its own; return its backtests and its peak memory in MB."""
    done = subprocess.run(
        [sys.executable, "-c", STUDY, str(fasts), str(out)],
        capture_output=True, text=True, check=True, timeout=600, env=dict(os.environ),
    )  # fmt: skip
    tests, peak = done.stdout.split()
    return int(tests), float(peak)


@pytest.mark.proof
def test_fourteen_times_the_backtests_need_no_more_memory(tmp_path: Path) -> None:
    shared_path("data/klines_1h.parquet")
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc, which tells a process's peak memory")
    run(1, tmp_path / "compiled.parquet")
    small, little = run(1, tmp_path / "small.parquet")
    large, much = run(14, tmp_path / "large.parquet")
    print(f"\n{small:,} backtests: {little:.0f} MB at most; {large:,}: {much:.0f} MB")
    assert (small, large) == (7_200, 100_800)
    assert pl.scan_parquet(tmp_path / "large.parquet").select(pl.len()).collect().item() == large
    assert much < little + 60.0
