"""A bulk archive on loopback: files by their paths, and a count of what was asked for."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import polars as pl

from workbench.data.sources.archive_file import MICROSECONDS_SINCE_MS, ArchiveFile, month_file
from workbench.market.timeframes import DAY_MS, parse_timeframe


@dataclass(slots=True)
class ArchiveServer:
    """Serves `files` by path; `statuses` are given first, one a request."""

    files: dict[str, bytes] = field(default_factory=dict)
    statuses: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    _http: ThreadingHTTPServer | None = None
    _thread: threading.Thread | None = None

    def __enter__(self) -> ArchiveServer:
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._http is not None
        assert self._thread is not None
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(10)

    @property
    def url(self) -> str:
        assert self._http is not None
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def zips(self) -> list[str]:
        """Return the names of the zips that were asked for and are there."""
        return [
            path.rpartition("/")[2].removesuffix(".zip")
            for path in self.requests
            if path.endswith(".zip") and path in self.files
        ]

    def put(self, file: ArchiveFile, content: bytes, *, checksum: str | None = None) -> None:
        """Publish the bytes of a zip with its CHECKSUM (of these bytes, where none is given)."""
        digest = checksum or hashlib.sha256(content).hexdigest()
        self.files[file.path] = content
        self.files[f"{file.path}.CHECKSUM"] = f"{digest}  {file.name}.zip\n".encode()

    def publish(self, frame: pl.DataFrame, interval: str, *, daily: bool = False) -> None:
        """Publish a frame of one symbol by months, or by days."""
        for file, piece in _pieces(frame, interval, daily):
            self.put(file, zipped(file, rows_of(piece, interval)))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                self._answer(self.wfile.write)

            def do_HEAD(self) -> None:
                self._answer(lambda _: None)

            def _answer(self, write: Callable[[bytes], object]) -> None:
                server.requests.append(self.path)
                body = server.files.get(self.path)
                status, headers = (200 if body is not None else 404), {}
                if server.statuses:
                    status, headers = server.statuses.pop(0)
                content = (body or b"") if status == 200 else b"<Error/>"
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                write(content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


def zipped(file: ArchiveFile, rows: list[str], *, member: str | None = None) -> bytes:
    """Return a zip of one CSV with these lines."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member or f"{file.name}.csv", "".join(f"{row}\n" for row in rows))
    return buffer.getvalue()


def rows_of(frame: pl.DataFrame, interval: str) -> list[str]:
    """Return candles as the lines of an archive, in the unit of their time."""
    timeframe, lines = parse_timeframe(interval), []
    for row in frame.iter_rows(named=True):
        opened = int(row["open_time"].timestamp() * 1000)
        scale = 1_000 if opened >= MICROSECONDS_SINCE_MS else 1
        prices = [f"{row[name]:.8f}" for name in ("open", "high", "low", "close", "volume")]
        rest = [f"{row['taker_buy_base']:.8f}", f"{row['taker_buy_quote']:.8f}", "0"]
        closes = timeframe.next(opened) * scale - 1
        middle = [str(closes), f"{row['quote_volume']:.8f}", str(row["trades"])]
        lines.append(",".join([str(opened * scale), *prices, *middle, *rest]))
    return lines


def _pieces(
    frame: pl.DataFrame, interval: str, daily: bool
) -> list[tuple[ArchiveFile, pl.DataFrame]]:
    timeframe, pieces = parse_timeframe(interval), []
    times = frame["open_time"].to_physical()
    period = month_file(str(frame.item(0, "symbol")), timeframe, int(times[0]))
    while period.start_ms <= int(times[-1]):
        files = period.days() if daily else [period]
        for file in files:
            inside = frame.filter((times >= file.start_ms) & (times < file.end_ms))
            if not inside.is_empty():
                pieces.append((file, inside))
        period = month_file(period.symbol, timeframe, period.end_ms)
    return pieces


def day_file(symbol: str, interval: str, start_ms: int) -> ArchiveFile:
    """Return the file of one day."""
    return ArchiveFile(symbol, parse_timeframe(interval), start_ms, start_ms + DAY_MS)
