"""Every bad input of a collection, by command: one line with the mend, and the store as it was."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.data.conftest import JANUARY_2024_MS, candle_frame
from tests.data.klines_server import Fault, KlinesServer, half_json, html
from tests.data.test_data_store import bytes_of
from tests.data.unprivileged import run_workbench
from workbench.cli import COMMANDS
from workbench.command_table import run
from workbench.data.store import Store
from workbench.market.timeframes import TIMEFRAMES

HOUR_MS = 3_600_000
NOW_MS = JANUARY_2024_MS + 3_000 * HOUR_MS
SINCE = "2024-01-01"


@dataclass(frozen=True, slots=True)
class Bench:
    """A server of 2,500 hours, a store that holds the first hundred, and the command."""

    server: KlinesServer
    store: Path

    def collect(self, **changes: str | None) -> int:
        """Run the collection of all hours with some options changed; None leaves one out."""
        options: dict[str, str | None] = {
            "symbols": "BTCUSDT", "intervals": "1h", "since": SINCE, "until": "2024-04-14",
            "base-url": self.server.url, "store": str(self.store),
        }  # fmt: skip
        options |= {name.replace("_", "-"): value for name, value in changes.items()}
        words = [f"--{name}={value}" for name, value in options.items() if value is not None]
        return run("workbench", COMMANDS, "", ["collect", *words])


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    whole, store = candle_frame(2_500), tmp_path / "store"
    series = Store(store).series("local", "BTCUSDT", TIMEFRAMES["1h"])
    series.add(whole.head(100), collected_ms=0, provenance="REST klines of 127.0.0.1")
    series.seal(source="REST klines of 127.0.0.1", collected_ms=0)
    monkeypatch.setattr("workbench.cli.sources.wall_ms", lambda: NOW_MS)
    with KlinesServer({("BTCUSDT", "1h"): whole}, now_ms=NOW_MS) as server:
        yield Bench(server, store)


def one_error(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the only line on stderr, which is an error."""
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.strip().splitlines()
    assert line.startswith("error: ")
    return line


def clock_off(bench: Bench) -> None:
    bench.server.now_ms += HOUR_MS


def page(change: Callable[[list], list]) -> Callable[[Bench], None]:
    """Return how to let the server change its second page."""

    def spoil(bench: Bench) -> None:
        pages = iter(range(99))
        bench.server.rows_changed = lambda rows: change(rows) if next(pages) == 1 else rows

    return spoil


def fault(one: Fault) -> Callable[[Bench], None]:
    """Return how to let the server's first answer be a bad one."""
    return lambda bench: bench.server.faults.append(one)


def nothing(bench: Bench) -> None:
    """Leave the server as it is."""


CASES: dict[str, tuple[Callable[[Bench], None], dict[str, str | None], tuple[str, ...]]] = {
    "unknown symbol": (
        nothing, {"symbols": "NOPEUSDT"},
        ("does not know the symbol 'NOPEUSDT'", "write it as the exchange does"),
    ),
    "non-ASCII letters": (
        nothing, {"symbols": "BTСUSDT"},
        ("does not know the symbol", "'С' (CYRILLIC CAPITAL LETTER ES), not in ASCII"),
    ),
    "no symbol at all": (nothing, {"symbols": "BTC/USDT"}, ("is not a symbol; write a pair",)),
    "unknown interval": (nothing, {"intervals": "7h"}, ("unknown interval '7h'; use one of 1s 1m",)),
    "reversed dates": (
        nothing, {"since": "2024-03-01", "until": "2024-02-01"},
        ("since 2024-03-01T00:00Z is not before until 2024-02-01T00:00Z; swap them",),
    ),
    "an empty window": (
        nothing, {"since": "2024-03-01", "until": "2024-03-01"}, ("swap them, or widen the window",),
    ),
    "future start without an end": (
        nothing, {"since": "2099-01-01", "until": None},
        ("--since 2099-01-01T00:00Z lies in the future: this machine's clock says", "begin earlier"),
    ),
    "no date": (nothing, {"since": "soon"}, ("--since='soon' is not a time; write it like 2024",)),
    "seconds for milliseconds": (nothing, {"since": "1704067200"}, ("looks like seconds; give milli",)),
    "future start": (
        nothing, {"since": "2031-01-01", "until": "2032-01-01"},
        ("since 2031-01-01T00:00Z lies in the future of the server (2024-05-05T00:00Z); start earlier",),
    ),
    "HTML": (fault(html()), {}, ("answered HTML (", "check --base-url and whether a proxy")),
    "truncated JSON": (fault(half_json()), {}, ("answered broken JSON (", "check --base-url")),
    "page twice": (
        page(lambda rows: [*rows[:300], *rows[299:]]), {}, ("candles twice or out of order at 2024-0",),
    ),
    "page in disorder": (page(lambda rows: rows[::-1]), {}, ("candles twice or out of order at",)),
    "a page of before": (
        page(lambda rows: [[at - 100 * HOUR_MS if i in (0, 6) else at for i, at in enumerate(row)] for row in rows]),
        {}, ("asked for 2024-02-15T19:00Z to", "the server sent 2024-02-11T15:00Z"),
    ),
    "clock wrong by an hour": (
        clock_off, {}, ("says 2024-05-05T01:00Z, this machine's 2024-05-05T00:00Z: 60 minutes", "set-ntp true"),
    ),
    "no such source": (nothing, {"source": "tape", "base_url": None}, ("unknown source 'tape'; use rest",)),
    "no archives of streams": (
        nothing, {"source": "live", "archive_url": "x"}, ("--archive-url goes with --source archive or",),
    ),
    "streams of a source without": (
        nothing, {"stream_url": "ws://127.0.0.1:1"}, ("--stream-url goes with --source live, not with rest",),
    ),
    "too many jobs": (nothing, {"jobs": "99"}, ("--jobs 99: must lie between 1 and 32",)),
}  # fmt: skip
KEEPS_A_PAGE = {"page twice", "page in disorder", "a page of before"}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_line_with_the_mend_and_the_store_as_it_was(
    bench: Bench, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    spoil, changes, parts = CASES[case]
    before = bytes_of(bench.store)
    spoil(bench)
    capsys.readouterr()
    assert bench.collect(**changes) == 2
    line = one_error(capsys)
    assert all(part in line for part in parts), line
    series = Store(bench.store).series("local", "BTCUSDT", TIMEFRAMES["1h"])
    if case in KEEPS_A_PAGE:  # the good first page is kept, but for a candle without a later one
        frame = series.scan().collect()
        assert frame["open_time"].equals(candle_frame(1_099)["open_time"])
    else:
        assert bytes_of(bench.store) == before
    bench.server.rows_changed = None
    bench.server.now_ms = NOW_MS
    assert bench.collect() == 0  # the same command goes on from there
    assert len(series.opening_times()) == 2_496


def test_a_store_without_permission_is_one_line_and_stays_as_it_was(tmp_path: Path) -> None:
    words = ["--symbols=BTCUSDT", "--intervals=1h", "--source=synthetic", "--store=locked"]
    window = ["--since=2024-01-01", "--until=2024-02-01"]
    assert (
        run(
            "workbench",
            COMMANDS,
            "",
            ["collect", *words[:-1], f"--store={tmp_path}/locked", *window],
        )
        == 0
    )
    before = bytes_of(tmp_path / "locked")
    folders = [path for path in (tmp_path / "locked").rglob("*") if path.is_dir()]
    for folder in [*folders, tmp_path / "locked"]:
        folder.chmod(0o555)
    later = ["--since=2024-01-01", "--until=2024-03-01"]
    for changed in (words, ["--symbols=ETHUSDT", *words[1:]]):
        done = run_workbench("collect", *changed, *later, cwd=tmp_path, unprivileged=True)
        assert done.returncode == 2, done.stderr
        (line,) = done.stderr.strip().splitlines()
        assert "Permission denied; give yourself write permission on the folder" in line
        assert line.endswith("or name another with --store")
    for folder in [*folders, tmp_path / "locked"]:
        folder.chmod(0o755)
    assert bytes_of(tmp_path / "locked") == before


def test_a_folder_that_may_not_be_read_is_one_line(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    candle_frame(30).write_parquet(files / "klines_1h.parquet")
    words = ["--symbols=BTCUSDT", "--source=folder:files", "--store=store", "--since=2024-01-01"]
    (files / "klines_1h.parquet").chmod(0)
    done = run_workbench("collect", *words, cwd=tmp_path, unprivileged=True)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].endswith("give the file read permission")
    (files / "klines_1h.parquet").chmod(0o644)
    files.chmod(0)
    done = run_workbench("collect", *words, cwd=tmp_path, unprivileged=True)
    files.chmod(0o755)
    assert done.returncode == 2
    assert done.stderr.strip().endswith("give the folder read permission")
    assert not (tmp_path / "store").exists()


ON_A_SMALL_DISK = """
set -e
mount -t tmpfs -o size=256k tmpfs disk
collect() {{ {python} -c 'from workbench.cli import main; main()' collect --symbols=$1 \
    --intervals=1h --source=synthetic --since=2024-01-01 --until=$2 --store=disk/store; }}
sums() {{ find disk -type f ! -name .lock -exec sha256sum {{}} + | sort; }}
collect BTCUSDT 2024-02-01 >&2
sums > before
set +e
collect BTCUSDT 2027-01-01 2> error; code=$?
sums > after
dd if=/dev/zero of=disk/filler bs=1k 2> /dev/null
for number in 1 2 3 4 5 6 7 8; do : > disk/$number 2> /dev/null; done
collect ETHUSDT 2024-02-01 2> error_full; code_full=$?
find disk -name '.writing-*' > left
rm disk/filler
mount -o remount,size=64m disk
collect BTCUSDT 2027-01-01 > /dev/null || exit 9
cp disk/store/candles/venue=synthetic/interval=1h/symbol=BTCUSDT/candles.parquet end
echo $code $code_full
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a small disk of its own is Linux' tmpfs")
def test_a_full_disk_is_one_line_and_the_old_bytes_stay(tmp_path: Path) -> None:
    """A disk of 256 kB takes a month of hours, not three years; once it is larger, it goes on."""
    (tmp_path / "disk").mkdir()
    alone = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine gives no mount namespace, so no small disk")
    script = ON_A_SMALL_DISK.format(python=sys.executable)
    done = subprocess.run(
        [*alone, "sh", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-2:] == ["2", "2"]
    for name in ("error", "error_full"):
        (line,) = (tmp_path / name).read_text().strip().splitlines()
        assert (
            "No space left on device; free some disk space and run the same command again" in line
        )
    assert (tmp_path / "after").read_text() == (tmp_path / "before").read_text() != ""
    assert (tmp_path / "left").read_text() == ""
    window = ["--since=2024-01-01", "--until=2027-01-01", f"--store={tmp_path}/calm"]
    words = ["--symbols=BTCUSDT", "--intervals=1h", "--source=synthetic"]
    assert run("workbench", COMMANDS, "", ["collect", *words, *window]) == 0
    whole = next((tmp_path / "calm").rglob("candles.parquet"))
    assert (tmp_path / "end").read_bytes() == whole.read_bytes()
