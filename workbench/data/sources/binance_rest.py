"""Klines over Binance's REST API, or over any server that speaks it.

A page is at most 1,000 candles. What the server says about its limits is obeyed: the used weight of
each answer, and the Retry-After of 429 ("too many") and 418 ("banned"). Answers that time, transport
or load can explain are tried again, a bounded number of times; an answer that is not what was asked
for (a page of HTML, half a JSON, candles out of order) is an error in one line. Whether a candle has
closed is judged by the server's clock, never by ours; on a replayed market, whose candles keep their
past times, only a candle that has a later one behind it counts as closed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import numpy as np
import polars as pl

from workbench.data.schema import OPEN_TIME, RAW
from workbench.data.sources.address import is_loopback, refuse_address, venue_of
from workbench.data.sources.patience import Patience
from workbench.data.times import iso
from workbench.errors import DataError, ExchangeError, UsageError
from workbench.market.timeframes import Timeframe

BASE_URL = "https://api.binance.com"
PAGE = 1_000
_WEIGHT_HEADER = "x-mbx-used-weight-1m"
_DECIMALS = {"open": 1, "high": 2, "low": 3, "close": 4, "volume": 5} | {
    "quote_volume": 7,
    "taker_buy_base": 9,
    "taker_buy_quote": 10,
}


@dataclass(slots=True)
class BinanceRest:
    """Binance's REST API at `base_url` as a source of candles."""

    base_url: str = BASE_URL
    patience: Patience = field(default_factory=Patience)
    used_weight: int = 0
    _http: httpx.Client | None = None

    def __post_init__(self) -> None:
        refuse_address(self.base_url, option="--base-url", example=BASE_URL)

    @property
    def venue(self) -> str:
        """Return the venue that the host stands for; an unknown host stands for itself."""
        return venue_of(self.base_url)

    @property
    def description(self) -> str:
        """Return the host that was asked, for the manifest."""
        return f"REST klines of {urlsplit(self.base_url).hostname}"

    def fetch(
        self, symbol: str, timeframe: Timeframe, start_ms: int, end_ms: int
    ) -> Iterator[pl.DataFrame]:
        """Yield the closed candles that open in [start, end), oldest first, a page at a time."""
        now_ms = self.server_time_ms()
        if start_ms > now_ms:
            raise UsageError(
                f"since {iso(start_ms)} lies in the future of the server ({iso(now_ms)})"
            )
        replayed = self.venue == "local"
        last_asked_ms = end_ms - 1
        if replayed:  # one more, because the last one proves only that those before it have closed
            last_asked_ms = timeframe.next(timeframe.floor(last_asked_ms))
        at_ms = start_ms
        while at_ms < end_ms:
            rows = self._page(symbol, timeframe, at_ms, last_asked_ms)
            frame = frame_of(rows, symbol, timeframe, from_ms=at_ms, to_ms=last_asked_ms)
            if frame.is_empty():
                return
            at_ms = timeframe.next(int(frame["open_time"].to_physical()[-1]))
            done = len(rows) < PAGE
            if replayed and done:
                frame = frame.head(-1)
            frame = frame.filter(pl.col("open_time").dt.epoch("ms") < end_ms)
            closed = _closed(frame, timeframe, now_ms)
            if not closed.is_empty():
                yield closed
            if done or len(closed) < len(frame):
                return

    def server_time_ms(self) -> int:
        """Return the server's clock in milliseconds UTC."""
        answer = self._get("/api/v3/time", {})
        now = answer.get("serverTime") if isinstance(answer, dict) else None
        if not isinstance(now, int):
            raise ExchangeError(
                f"{self._host}: /api/v3/time has no serverTime; is it a Binance API?"
            )
        return now

    def close(self) -> None:
        """Close the connection."""
        if self._http is not None:
            self._http.close()

    @property
    def _host(self) -> str:
        return urlsplit(self.base_url).netloc

    def _page(self, symbol: str, timeframe: Timeframe, start_ms: int, last_ms: int) -> list[object]:
        query = {
            "symbol": symbol,
            "interval": timeframe.name,
            "startTime": str(start_ms),
            "endTime": str(last_ms),
            "limit": str(PAGE),
        }
        answer = self._get("/api/v3/klines", query)
        if not isinstance(answer, list):
            raise ExchangeError(
                f"{self._host}: klines is {type(answer).__name__}, not a list of candles"
            )
        return answer

    def _get(self, path: str, query: Mapping[str, str]) -> object:
        """Return the JSON of one answer; try again where that can help."""
        trouble = ""
        for attempt in range(self.patience.attempts):
            if attempt:
                self._wait(attempt, trouble)
            try:
                answer = self._client().get(path, params=dict(query))
            except httpx.HTTPError as error:
                trouble = f"{type(error).__name__}: {error}".rstrip(": ")
                continue
            if answer.status_code in (418, 429):
                trouble = f"HTTP {answer.status_code}"
                self._obey(answer)
                continue
            if answer.status_code >= 500:
                trouble = f"HTTP {answer.status_code}"
                continue
            value = self._value(answer, query)
            self._slow_down(answer)
            return value
        raise ExchangeError(
            f"{self._host}{path}: gave up after {self.patience.attempts} attempts, the last: {trouble}; "
            "check the network and run the same command again, it goes on where it was"
        )

    def _client(self) -> httpx.Client:
        if self._http is None:
            own = is_loopback(self.base_url)
            self._http = httpx.Client(
                base_url=self.base_url.rstrip("/"),
                timeout=self.patience.timeout_s,
                trust_env=not own,  # a proxy of the environment has no business with loopback
                headers={"Accept": "application/json"},
            )
        return self._http

    def _wait(self, attempt: int, trouble: str) -> None:
        if trouble not in ("HTTP 418", "HTTP 429"):  # those have waited as they were told
            self.patience.back_off(attempt)

    def _obey(self, answer: httpx.Response) -> None:
        told = answer.headers.get("retry-after", "")
        wait = float(told) if told.isdecimal() else self.patience.longest_wait_s
        if wait > self.patience.longest_ban_s:
            raise ExchangeError(
                f"{self._host} bans this address for {wait:.0f} s (HTTP {answer.status_code}); "
                "wait that long and run the same command again, it goes on where it was"
            )
        self.patience.sleep(wait)

    def _slow_down(self, answer: httpx.Response) -> None:
        """Wait for the next minute once this address has used its share of the weight."""
        used = answer.headers.get(_WEIGHT_HEADER, "")
        self.used_weight = int(used) if used.isdecimal() else 0
        if self.used_weight >= self.patience.weight_share * self.patience.weight_per_minute:
            self.patience.sleep(60.0)

    def _value(self, answer: httpx.Response, query: Mapping[str, str]) -> object:
        body = answer.text
        kind = answer.headers.get("content-type", "")
        try:
            value = json.loads(body)
        except ValueError:
            what = "HTML" if "html" in kind or body.lstrip()[:1] == "<" else "broken JSON"
            raise ExchangeError(
                f"{self._host} answered {what} ({len(body)} characters, HTTP {answer.status_code}) "
                "instead of candles; check --base-url and whether a proxy or login page is in the way"
            ) from None
        if answer.status_code == 200:
            return value
        code, text = (
            (value.get("code"), value.get("msg")) if isinstance(value, dict) else (None, body)
        )
        if code == -1121:
            raise UsageError(
                f"{self._host} does not know the symbol {query.get('symbol')!r} (-1121)"
            )
        raise ExchangeError(f"{self._host} refused: HTTP {answer.status_code}, {code}, {text}")


def frame_of(
    rows: list[object], symbol: str, timeframe: Timeframe, *, from_ms: int, to_ms: int
) -> pl.DataFrame:
    """Return one page of klines as a frame; DataError where a row cannot be what was asked for."""
    label = f"{symbol} {timeframe}"
    for row in rows:
        if not isinstance(row, list) or len(row) < 11:
            raise DataError(
                f"{label}: the server sent {str(row)[:60]!r} where a candle of 12 fields belongs"
            )
    table = list(zip(*rows, strict=False)) if rows else [()] * 12
    frame = pl.DataFrame(
        {
            "symbol": pl.Series([symbol] * len(rows), dtype=pl.String),
            "open_time": pl.Series(_whole(table[0], label, "open_time"), dtype=pl.Int64).cast(
                OPEN_TIME
            ),
            **{
                name: pl.Series(_decimal(table[at], label, name), dtype=pl.Float64)
                for name, at in _DECIMALS.items()
            },
            "trades": pl.Series(_whole(table[8], label, "trades"), dtype=pl.Int64),
        }
    )
    _refuse_page(frame, _whole(table[6], label, "close_time"), timeframe, label, from_ms, to_ms)
    return frame.select("symbol", "open_time", "open", "high", "low", "close", "volume", *RAW)


def _refuse_page(
    frame: pl.DataFrame,
    close_times: list[int],
    timeframe: Timeframe,
    label: str,
    from_ms: int,
    to_ms: int,
) -> None:
    opens = frame["open_time"].to_physical().to_numpy()
    if not len(opens):
        return
    if (np.diff(opens) <= 0).any():
        at = int(opens[1:][np.diff(opens) <= 0][0])
        raise DataError(f"{label}: the server sent candles twice or out of order at {iso(at)}")
    if opens[0] < from_ms or opens[-1] > to_ms:
        raise DataError(
            f"{label}: asked for {iso(from_ms)} to {iso(to_ms)}, the server sent "
            f"{iso(int(opens[0]))} to {iso(int(opens[-1]))}"
        )
    for opened, closed in zip(opens.tolist(), close_times, strict=True):
        if closed != timeframe.next(opened) - 1:
            raise DataError(
                f"{label}: the candle of {iso(opened)} closes at {closed}, not one millisecond before "
                f"the next; is the server's interval another, or its unit not milliseconds?"
            )


def _whole(values: tuple[object, ...], label: str, name: str) -> list[int]:
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool):
            raise DataError(f"{label}: {name} is {value!r}, not a whole number")
    return [value for value in values if isinstance(value, int)]


def _decimal(values: tuple[object, ...], label: str, name: str) -> list[float]:
    for value in values:
        if not isinstance(value, str) or not value.replace(".", "", 1).isdecimal():
            raise DataError(f"{label}: {name} is {value!r}, not a plain decimal like '0.0123'")
    return [float(str(value)) for value in values]


def _closed(frame: pl.DataFrame, timeframe: Timeframe, now_ms: int) -> pl.DataFrame:
    if frame.is_empty() or timeframe.next(int(frame["open_time"].to_physical()[-1])) <= now_ms:
        return frame
    open_now = timeframe.floor(now_ms)
    return frame.filter(pl.col("open_time").dt.epoch("ms") < open_now)
