"""The candle store: a folder a series, parquet files by period, and a manifest that vouches for them.

    datasets/candles/venue=binance/interval=1h/symbol=BTCUSDT/candles.parquet   (1h and coarser)
    datasets/candles/venue=binance/interval=1m/symbol=BTCUSDT/2025-01.parquet   (finer: one a month)
    …/manifest.json, and …/revisions.jsonl once a source has contradicted itself

The parquet files are the truth; the manifest is derived from them and can be rebuilt. Adding is a
union under a lock: candles that are there stay as they are, new ones go in, and a candle that comes
again with other numbers is kept beside, as a revision. So the bytes depend on the candles alone, not
on the order, the number or the crashes of the collections that brought them.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from workbench.data import atomic
from workbench.data.files import interval_folder
from workbench.data.manifest import Asking, described, noted_causes, same_but_for_time
from workbench.data.quality import Finding, check
from workbench.data.schema import PROVENANCE, REQUIRED, SCHEMA, STORED, marked
from workbench.data.times import iso
from workbench.errors import DataError
from workbench.market.timeframes import HOUR_MS, Timeframe

_MANIFEST, _REVISIONS = "manifest.json", "revisions.jsonl"


@dataclass(frozen=True, slots=True)
class Added:
    """What one addition changed."""

    new: int
    known: int
    revised: int

    def __add__(self, other: Added) -> Added:
        return Added(self.new + other.new, self.known + other.known, self.revised + other.revised)


@dataclass(frozen=True, slots=True)
class Store:
    """The candle store below a folder (the project's `datasets`)."""

    root: Path

    def series(self, venue: str, symbol: str, timeframe: Timeframe) -> StoredSeries:
        """Return one series, whether it holds candles yet or not."""
        parts = (f"venue={venue}", f"interval={interval_folder(timeframe)}", f"symbol={symbol}")
        return StoredSeries(self.root.joinpath("candles", *parts), venue, symbol, timeframe)

    def manifests(self) -> list[dict[str, object]]:
        """Return the manifest of every series, in the order of their paths."""
        found = sorted(self.root.glob(f"candles/venue=*/interval=*/symbol=*/{_MANIFEST}"))
        return [json.loads(path.read_text(encoding="utf-8")) for path in found]


@dataclass(frozen=True, slots=True)
class StoredSeries:
    """One series in the store."""

    folder: Path
    venue: str
    symbol: str
    timeframe: Timeframe

    def scan(self) -> pl.LazyFrame:
        """Return the candles lazily, oldest first."""
        return self._marked().select(list(SCHEMA))

    def provenance(self) -> pl.DataFrame:
        """Return where the candles came from: provenance, candles, first, last (opening times).

        One row a source, the one of the earliest candle first; null where nobody noted it.
        """
        time = pl.col("open_time")
        return (
            self._marked()
            .group_by(PROVENANCE)
            .agg(candles=pl.len(), first=time.min(), last=time.max())
            .sort("first")
            .collect(engine="streaming")
        )

    def opening_times(self) -> np.ndarray:
        """Return the opening time of every stored candle in milliseconds, as int64, rising."""
        return self.scan().select("open_time").collect()["open_time"].to_physical().to_numpy()

    def add(
        self, frame: pl.DataFrame, *, collected_ms: int, provenance: str | None = None
    ) -> Added:
        """Add the candles that are not there yet; `collected_ms` is the time of collection.

        Each is kept with its provenance: the frame's own column of that name, else the argument.
        The frame must be free of quality errors. Raises DataError where it is not, or where the
        disk refuses; what was stored before is intact in either case.
        """
        check(frame, self.timeframe).refuse(f"{self.symbol} {self.timeframe}")
        frame = marked(frame, provenance)
        frame = _full(frame, self.symbol)
        with self._locked():
            outcomes = [
                self._add_period(name, piece, collected_ms)
                for name, piece in _by_period(frame, self.timeframe)
            ]
        return Added(
            sum(one.new for one in outcomes),
            sum(one.known for one in outcomes),
            sum(one.revised for one in outcomes),
        )

    def seal(
        self,
        *,
        source: str,
        collected_ms: int,
        asked: Sequence[tuple[int, int]] = (),
        declared: Sequence[Finding] = (),
        asked_of: str | None = None,
    ) -> bool:
        """Rewrite the manifest from the candles; return whether it changed.

        `asked` are the stretches [start, end) for which the source, or the one that `asked_of`
        names, was just asked: a gap inside one of them is absent there. `declared` are the warnings
        that the source gave with its candles.
        Nothing is written where all but the time is as it was.
        """
        with self._locked():
            before = self.manifest()
            after = self._described(before, Asking(source, asked, declared, asked_of), collected_ms)
            if before is not None and same_but_for_time(before, after):
                return False
            text = json.dumps(after, indent=1, ensure_ascii=False, sort_keys=True)
            atomic.replace_text(self.folder / _MANIFEST, text + "\n", another=atomic.STORE)
        return True

    def manifest(self) -> dict[str, object] | None:
        """Return the manifest, None where there is none yet; DataError where it is not JSON."""
        path = self.folder / _MANIFEST
        if not path.exists():
            return None
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except ValueError:
            raise DataError(
                f"{self.symbol} {self.timeframe}: manifest.json is not JSON; delete it and run "
                "`workbench collect` for the series, which writes it anew"
            ) from None

    def sha256(self) -> str:
        """Return the hash of all stored columns, as canonical little-endian bytes, oldest first."""
        return sha256_of(self.scan())

    def revisions(self) -> list[dict[str, object]]:
        """Return the candles that came again with other numbers, in the order in which they came."""
        path = self.folder / _REVISIONS
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def _marked(self) -> pl.LazyFrame:
        """Return the candles with their provenance; null in files of a version that had none."""
        paths = self._paths()
        if not paths:
            return pl.LazyFrame(schema=STORED)
        return pl.scan_parquet(
            paths, schema=pl.Schema(STORED), hive_partitioning=False, missing_columns="insert"
        )

    def _paths(self) -> list[Path]:
        return sorted(p for p in self.folder.glob("*.parquet") if not p.name.startswith("."))

    def _add_period(self, name: str, piece: pl.DataFrame, collected_ms: int) -> Added:
        path = self.folder / f"{name}.parquet"
        stored = piece.clear()
        if path.exists():
            stored = marked(pl.read_parquet(path, hive_partitioning=False), None)
        fresh = piece.join(stored, on="open_time", how="anti")
        again = piece.join(stored, on="open_time", how="semi")
        revised = _differing(stored, again)
        if not revised.is_empty():
            self._keep_revisions(stored, revised, collected_ms)
        if not fresh.is_empty():
            merged = pl.concat([stored, fresh]).sort("open_time").rechunk()
            atomic.replace_bytes(path, _parquet(merged), another=atomic.STORE)
        return Added(len(fresh), len(again) - len(revised), len(revised))

    def _keep_revisions(
        self, stored: pl.DataFrame, revised: pl.DataFrame, collected_ms: int
    ) -> None:
        known = {_revision_key(one) for one in self.revisions()}
        lines = [json.dumps(one, ensure_ascii=False) for one in self.revisions()]
        kept = {row["open_time"]: row for row in stored.iter_rows(named=True)}
        for row in revised.iter_rows(named=True):
            one = {
                "open_time": iso(int(row["open_time"].timestamp() * 1000)),
                "collected": iso(collected_ms),
                "kept": _values(kept[row["open_time"]]),
                "came": _values(row),
            }
            if _revision_key(one) not in known:
                lines.append(json.dumps(one, ensure_ascii=False))
        text = "\n".join(lines) + "\n"
        atomic.replace_text(self.folder / _REVISIONS, text, another=atomic.STORE)

    def gap_causes(self) -> dict[int, str]:
        """Return what the manifest says of each gap, by the time of its first missing candle."""
        return noted_causes(self.manifest())

    def _described(
        self, before: dict[str, object] | None, asking: Asking, collected_ms: int
    ) -> dict[str, object]:
        candles = self.scan().drop("symbol")
        identity = {"venue": self.venue, "symbol": self.symbol, "interval": self.timeframe.name}
        return described(
            identity,
            check(candles, self.timeframe),
            before=before,
            asking=asking,
            provenance=self.provenance(),
            revisions=len(self.revisions()),
            sha256=sha256_of(candles),
            collected_ms=collected_ms,
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the series against other collectors, and clear what a killed one left half-written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            what = f"{self.symbol} {self.timeframe}: the store cannot be written"
            raise DataError(atomic.mended(what, error, another=atomic.STORE)) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            for left in self.folder.glob(f"{atomic.TEMPORARY}*"):
                left.unlink()
            yield
        finally:
            os.close(handle)


def sha256_of(frame: pl.DataFrame | pl.LazyFrame) -> str:
    """Return the hash of a frame's columns one after the other: name, nulls, little-endian values.

    A lazy frame is read a column at a time, so that a long series fits the memory.
    """
    digest, lazy = hashlib.sha256(), frame.lazy()
    for name in lazy.collect_schema().names():
        if name == "symbol":
            continue
        column = lazy.select(name).collect()[name].to_physical().rechunk()
        digest.update(name.encode())
        digest.update(column.is_null().to_numpy().tobytes())
        digest.update(column.fill_null(0).to_numpy().astype(_little(column.dtype)).tobytes())
    return digest.hexdigest()


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", compression_level=3)
    return buffer.getvalue()


def _little(dtype: pl.DataType) -> str:
    return "<f8" if dtype.is_float() else "<i8"


def _full(frame: pl.DataFrame, symbol: str) -> pl.DataFrame:
    """Return the frame with every column of the schema; what the source does not know is null."""
    strangers = frame.filter(pl.col("symbol") != symbol)
    if not strangers.is_empty():
        raise DataError(
            f"candles of {strangers.item(0, 'symbol')} were handed to the series of {symbol}"
        )
    missing = [name for name in REQUIRED if name not in frame.columns]
    if missing:
        raise DataError(f"{symbol}: no column {', '.join(missing)}")
    return frame.select(
        pl.col(name) if name in frame.columns else pl.lit(None, wanted).alias(name)
        for name, wanted in STORED.items()
    ).cast(pl.Schema(STORED))


def _by_period(frame: pl.DataFrame, timeframe: Timeframe) -> Iterator[tuple[str, pl.DataFrame]]:
    if timeframe.mean_ms >= HOUR_MS:
        yield "candles", frame
        return
    months = frame.with_columns(pl.col("open_time").dt.strftime("%Y-%m").alias("_month"))
    for key, piece in months.partition_by("_month", as_dict=True, maintain_order=True).items():
        yield str(key[0]), piece.drop("_month")


def _differing(stored: pl.DataFrame, again: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `again` that contradict a stored value; a null contradicts nothing."""
    if again.is_empty():
        return again
    values = [name for name in SCHEMA if name not in ("symbol", "open_time")]
    differs = pl.any_horizontal(
        (pl.col(name) != pl.col(f"{name}_stored")).fill_null(False) for name in values
    )
    joined = again.join(stored.select("open_time", *values), on="open_time", suffix="_stored")
    return joined.filter(differs).select(again.columns)


def _values(row: dict[str, object]) -> dict[str, object]:
    return {name: row[name] for name in SCHEMA if name not in ("symbol", "open_time")}


def _revision_key(revision: Mapping[str, object]) -> str:
    return json.dumps([revision["open_time"], revision["came"]])
