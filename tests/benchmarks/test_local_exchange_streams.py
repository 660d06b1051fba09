"""A thousand kline streams to each of ten clients, 1m at sixty times life: how late a close is read.

Lateness counts from the boundary on the exchange's market clock to the moment at which a client in
another process has read the frame, so it holds the socket and the client's turn as well. A close
frame that any client missed between its first and last boundary is lost.
"""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections import defaultdict

import numpy as np

SYMBOLS, CLIENTS, SECONDS = 1_000, 10, 25
GOAL_MS = 250
MINUTE_MS = 60_000


def test_every_close_frame_of_a_thousand_streams_reaches_ten_clients() -> None:
    command = [sys.executable, "-m", "bridge.cli", "exchange", "--json", "--ephemeral"]
    options = ["--crowd", str(SYMBOLS), "--speed", "60", "--interval", "1m"]
    with subprocess.Popen(
        [*command, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        said = json.loads(process.stdout.readline())
        port = said["rest"].rpartition(":")[2]
        load = [sys.executable, "-m", "tests.benchmarks.stream_load"]
        done = subprocess.run(
            [*load, port, str(SYMBOLS), str(CLIENTS), str(SECONDS)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        after = market_clock(said)
        process.stdin.close()
        process.wait(10)
    rows = json.loads(done.stdout)
    late_ms, lost = measured(rows, after)
    p50, p99, worst = np.percentile(late_ms, [50, 99, 100])
    print(
        f"\n{len(rows):,} close frames, {SYMBOLS:,} streams x {CLIENTS} clients: "
        f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, worst {worst:.0f} ms after the boundary, "
        f"{lost} lost; the market's clock shifted {len(after['shifts'])} times"
    )
    assert lost == 0
    assert len(rows) > SYMBOLS * CLIENTS * SECONDS * 0.5


def market_clock(said: dict) -> dict:  # type: ignore[type-arg]
    """Return {"market_ms", "elapsed_s", "speed"} of a running exchange."""
    request = urllib.request.Request(
        f"{said['rest']}/admin/status", headers={"X-Admin-Token": said["admin_token"]}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict = json.load(answer)["clock"]  # type: ignore[type-arg]
    return found


def boundary_s(clock: dict, market_ms: int) -> float:  # type: ignore[type-arg]
    """Return the elapsed time at which a market time came, the shifts since then taken back."""
    since = sum(by_s for at_ms, by_s in clock["shifts"] if at_ms > market_ms)
    ahead_s = (market_ms - clock["market_ms"]) / 1000 / clock["speed"]
    return float(clock["elapsed_s"] + ahead_s - since)


def measured(rows: list, clock: dict) -> tuple[np.ndarray, int]:  # type: ignore[type-arg]
    """Return every frame's lateness in ms, and how many frames are missing inside the run."""
    late_ms, opened = [], defaultdict(set)
    for client, symbol, open_ms, read_s in rows:
        late_ms.append((read_s - boundary_s(clock, open_ms + MINUTE_MS)) * 1000)
        opened[client, symbol].add(open_ms)
    begin = max(min(times) for times in opened.values())
    end = min(max(times) for times in opened.values())
    minutes = set(range(begin, end + 1, MINUTE_MS))
    lost = sum(len(minutes - times) for times in opened.values())
    lost += (SYMBOLS * CLIENTS - len(opened)) * len(minutes)
    return np.array(late_ms), lost
