"""`workbench demo`: the whole job on real candles, from a study to a running instance.

1 the data, said aloud; 2 the 2,400-scenario study in three columns; 3 a report notebook through
papermill; 4 the local exchange replaying candles faster than life, and one instance trading on it;
5 the dashboard. Ctrl-C ends everything that was started. `--once` stops after the first fills.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.errors import DataError, ExchangeError, WorkbenchError

if TYPE_CHECKING:
    from bridge.embedded import EmbeddedBridge
    from workbench.backtest.study.headline import Headline
    from workbench.report.runner import ReportRun

SYMBOL, INTERVAL, START = "BTCUSDT", "1m", "2025-01-02"
INSTANCE = "demo-macd"
PARAMS = {"fast": 3, "slow": 7, "signal": 3}
CAPITAL = 1_000.0


@dataclass
class Told:
    """What the demo has to say at its end, and how long each step took."""

    as_json: bool
    began: float = field(default_factory=time.monotonic)
    summary: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def say(self, text: str) -> None:
        """Print progress: to the terminal, or to stderr where stdout is for JSON."""
        print(text, file=sys.stderr if self.as_json else sys.stdout, flush=True)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step."""
        began = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - began, 2)


def demo(
    once: Annotated[bool, typer.Option("--once", help="End after --fills fills.")] = False,
    fills: Annotated[int, typer.Option(help="Fills to wait for with --once.", min=1)] = 3,
    speed: Annotated[float, typer.Option(help="How many times as fast as life.", min=1.0)] = 120.0,
    port: Annotated[
        int, typer.Option(help="Dashboard port on 127.0.0.1; 0 takes one.", min=0, max=65_535)
    ] = 0,
    reports: Annotated[Path, typer.Option(help="Where the report goes.")] = Path("reports"),
    patience: Annotated[float, typer.Option(help="Seconds to wait for the fills.")] = 180.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON summary.")] = False,
) -> None:
    """Run the main job end to end; everything stays on this machine."""
    signal.signal(signal.SIGTERM, _stop_like_ctrl_c)
    told = Told(as_json)
    with (
        tempfile.TemporaryDirectory(prefix="wb-demo-") as folder,
        ThreadPoolExecutor(1) as beside,
    ):
        from bridge.embedded import embedded_bridge

        told.say(f"1  Data: {_sources(told)}")
        report = beside.submit(_report, reports)
        _study(told)
        _tell_report(told, report)
        told.say(f"4  Local exchange: {SYMBOL} {INTERVAL} from {START}, {speed:g} times life")
        with embedded_bridge(Path(folder) / "home", _exchange_options(speed)) as live:
            _start(told, live)
            if once:
                _wait_for_fills(told, live, wanted=fills, patience=patience)
            else:
                _dashboard(told, live, port)
    told.summary["seconds"] = told.seconds | {"whole": round(time.monotonic() - told.began, 2)}
    if as_json:
        typer.echo(json.dumps(told.summary))
    elif once:
        told.say(f"done in {told.summary['seconds']['whole']} s; nothing is left running")


def _stop_like_ctrl_c(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _exchange_options(speed: float) -> list[str]:
    return [
        "--symbols", SYMBOL, "--interval", INTERVAL, "--start", START, "--speed", repr(speed),
        "--balance", "USDT=10000",
    ]  # fmt: skip


def _sources(told: Told) -> str:
    from workbench.data import source_of

    sources = {one: source_of(SYMBOL, one, start=START) for one in ("1h", INTERVAL)}
    told.summary["data"] = sources
    return "; ".join(f"{SYMBOL} {interval}: {source}" for interval, source in sources.items())


def _study(told: Told) -> None:
    from tqdm import tqdm

    from workbench.backtest.study.headline import headline_study
    from workbench.cli.headline import print_headline

    told.say("2  The 2,400-scenario study: as published, from a cold start, and honest")
    try:
        with (
            told.step("study"),
            tqdm(total=2_400, leave=False, disable=not sys.stderr.isatty()) as bar,
        ):
            study: Headline = headline_study(bar.update)
    except DataError as error:
        told.summary["headline"] = None
        told.say(f"   left out: {error}")
        return
    told.summary["headline"] = study.summary()
    if not told.as_json:
        print_headline(study)


def _report(reports: Path) -> ReportRun:
    from datetime import UTC, datetime

    from workbench.report.runner import run_report

    return run_report("daily", out=reports, now=datetime.now(UTC))


def _tell_report(told: Told, report: Future[ReportRun]) -> None:
    with told.step("report, after the study"):
        run = report.result()
    if not run.ok:
        raise WorkbenchError(f"the report failed: {run.record.error}; see {run.html}")
    told.seconds["report"] = round(run.record.seconds, 2)
    told.summary["report"] = {
        "html": str(run.html), "notebook": str(run.notebook), "index": str(run.index),
    }  # fmt: skip
    told.say(f"3  Report: {run.html}\n   all reports: {run.index}")


def _start(told: Told, live: EmbeddedBridge) -> None:
    from bridge.embedded import ACCOUNT

    with told.step("instance"):
        live.client.start_instance(
            INSTANCE,
            account=ACCOUNT,
            strategy="macd",
            params=PARAMS,
            symbol=SYMBOL,
            interval=INTERVAL,
            capital=CAPITAL,
        )
        live.client.wait_until(INSTANCE, {"RUNNING"})
    shown = "/".join(map(str, PARAMS.values()))
    told.say(f"   instance {INSTANCE}: MACD {shown} with {CAPITAL:g} USDT; {live.market['source']}")


def _wait_for_fills(told: Told, live: EmbeddedBridge, *, wanted: int, patience: float) -> None:
    deadline = time.monotonic() + patience
    with told.step("fills"):
        while len(fills := live.client.fills(INSTANCE)) < wanted:
            now = live.client.instance(INSTANCE)
            if now["state"] != "RUNNING":
                raise ExchangeError(f"the instance is {now['state']}: {now['reason']}")
            if time.monotonic() > deadline:
                raise ExchangeError(
                    f"{len(fills)} of {wanted} fills after {patience:g} s; raise --speed or --patience"
                )
            time.sleep(0.1)
    for fill in fills[:wanted]:
        told.say(f"   {fill['side']:4} {fill['quantity']:.5f} at {fill['price']:,.2f}")
    told.summary["trading"] = {
        "symbol": SYMBOL,
        "interval": INTERVAL,
        "source": live.market["source"],
        "fills": fills,
        "instance": live.client.instance(INSTANCE),
    }


def _dashboard(told: Told, live: EmbeddedBridge, port: int) -> None:
    from bridge.dashboard.voila_page import launch_voila

    with told.step("dashboard"):
        environment = {
            "WORKBENCH_HOME": str(live.home),
            "WORKBENCH_BRIDGE_URL": live.client.url,
            "WORKBENCH_BRIDGE_TOKEN": live.token,
        }
        page = launch_voila(port=port, environment=environment)
    try:
        told.say(f"5  Dashboard: {page.url}\n   JupyterLab: make lab\n   Ctrl-C ends everything.")
        while True:
            for process in (live.exchange, live.supervisor, page.process):
                if process.poll() is not None:
                    raise ExchangeError(
                        f"process {process.pid} of the demo ended by itself; see {live.home}"
                    )
            time.sleep(0.5)
    except KeyboardInterrupt:
        told.say("\nstopping")
    finally:
        page.stop()
