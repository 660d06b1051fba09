"""Where batches run: here, or on a Dask cluster that stands already, with the same bytes.

Nothing home-made: Dask keeps the queue, moves the candles and runs again what a lost worker had. The
candles go out as a task's result and not as scattered memory, so they too can be made again. Only a
few batches a core are under way at once, so that a study of any length needs little memory.

A strategy travels as its name, hash and text; a worker whose strategy or engine is another version
refuses the batch, since its numbers could differ unseen.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from workbench import strategies
from workbench.analysis.trial_rows import TrialBatch
from workbench.backtest.batches import Batch, Work, run_batch
from workbench.backtest.exits import parted
from workbench.backtest.grids import valid_mask
from workbench.backtest.kernels import engine_sha
from workbench.backtest.recording import LEDGER, Recorder, batch_of_frame
from workbench.backtest.setting import Costs, trading_rules
from workbench.backtest.sweep import warm_starts
from workbench.errors import UsageError, WorkbenchError
from workbench.market.candles import Candles

if TYPE_CHECKING:
    import polars as pl
    from distributed import Client, Future

AHEAD_PER_CORE = 3
TRIES = 3  # of a batch, before a cluster that loses its workers is given up

Rows = tuple[int, "pl.DataFrame | None"]
_last: tuple[Candles, Candles] | None = None  # on a worker: as received, and our own copy


@dataclass(frozen=True, slots=True)
class _Parcel:
    """A batch as it travels."""

    strategy: tuple[str, str, str]
    engine: str
    params: np.ndarray
    costs: Costs
    all_history: bool
    columns: tuple[str, ...]


def run_batches(
    numbers: Iterable[int],
    work: Callable[[int], Work],
    *,
    on: Client | None = None,
    trials: Recorder = LEDGER,
) -> Generator[Rows]:
    """Run the batches of these numbers, here or on a cluster; yield (number, rows) as they finish.

    `work(number)` hands each out when its turn comes. What is under way on a cluster is cancelled
    when the caller stops, by Ctrl-C or by closing the generator. The trials of a batch are recorded here
    before its rows are handed out, wherever it ran. Raises UsageError where the cluster cannot run
    them, and what a batch raised there.
    """
    if on is None:
        for number in numbers:
            yield number, run_batch(*work(number), trials=trials)
        return
    yield from _run_on(on, iter(numbers), work, trials)


def cores_of(client: Client) -> int:
    """Return how many cores a cluster has; UsageError where it is none, or has none."""
    if not hasattr(client, "submit") or not hasattr(client, "ncores"):
        raise UsageError(f"on={client!r} is no Dask client; give distributed.Client(address)")
    if client.asynchronous:
        raise UsageError("on= takes a client that waits; make it without asynchronous=True")
    cores = sum(client.ncores().values())
    if not cores:
        raise UsageError("the cluster has no workers; start one with `dask worker ADDRESS`")
    return cores


def _run_on(
    client: Client, numbers: Iterator[int], work: Callable[[int], Work], trials: Recorder
) -> Generator[Rows]:
    from distributed import as_completed

    ahead = cores_of(client) * AHEAD_PER_CORE
    running: dict[Future, tuple[int, Work]] = {}
    series: dict[tuple[object, ...], Future] = {}
    queue = as_completed([])
    try:
        for number in numbers:
            queue.add(_submit(client, number, work, running, series))
            if len(running) >= ahead:
                break
        for future in queue:
            (done, made), rows = running.pop(future), _rows_of(future)
            if rows is not None:
                trials.record(partial(_batch_of, *made, rows))
            yield done, rows
            for number in numbers:
                queue.add(_submit(client, number, work, running, series))
                break
    finally:
        if running and client.status == "running":  # a closed client has let go of its work itself
            client.cancel(list(running), force=True)


def _submit(
    client: Client,
    number: int,
    work: Callable[[int], Work],
    running: dict[Future, tuple[int, Work]],
    series: dict[tuple[object, ...], Future],
) -> Future:
    candles, batch = work(number)
    spec = batch.spec
    strategy = (spec.name, spec.sha, spec.text)
    parcel = _Parcel(
        strategy, engine_sha(), batch.params, batch.costs, batch.all_history, batch.columns
    )
    key = (candles.symbol, candles.timeframe, candles.first, len(candles.records))
    with _told_in_one_line():
        if key not in series:
            series.clear()  # batches come series by series; what is under way holds on to its own
            with warnings.catch_warnings():  # of their size: they are sent once, and not scattered
                warnings.filterwarnings("ignore", "Sending large graph")
                series[key] = client.submit(_receive, candles, pure=False, retries=TRIES)
        future = client.submit(_run_parcel, series[key], parcel, pure=False, retries=TRIES)
    running[future] = number, (candles, batch)
    return future


def _batch_of(candles: Candles, batch: Batch, rows: pl.DataFrame) -> TrialBatch:
    """Return the trials of the rows that a worker sent back."""
    valid = np.ascontiguousarray(batch.params[valid_mask(batch.spec, batch.params)])
    params, exits = parted(valid, batch.spec.params_dtype)
    return batch_of_frame(
        candles,
        batch.spec,
        batch.costs,
        rules=trading_rules(candles, batch.costs)[0],
        params=params,
        exits=exits,
        warm=warm_starts(candles, batch.spec, valid) * (not batch.all_history),
        frame=rows,
    )


def _receive(candles: Candles) -> Candles:
    return candles


def _run_parcel(candles: Candles, parcel: _Parcel) -> pl.DataFrame | None:
    if parcel.engine != engine_sha():
        raise UsageError(
            f"this worker's engine is {engine_sha()[:12]}, the caller's {parcel.engine[:12]}; install "
            "the same version of the workbench on both sides and restart the workers"
        )
    spec = strategies.rebuild(*parcel.strategy)
    own = _own(candles)
    batch = Batch(spec, parcel.params.copy(), parcel.costs, parcel.all_history, parcel.columns)
    return run_batch(own, batch, threads=1)


def _rows_of(future: Future) -> pl.DataFrame | None:
    with _told_in_one_line():
        rows: pl.DataFrame | None = future.result()
    return rows


def _own(candles: Candles) -> Candles:
    """Return candles of this process's own: what came over the wire may be read-only, or not aligned.

    The last ones are kept, since one series serves many batches.
    """
    global _last
    kept = _last  # another thread of this worker may put its own there meanwhile
    if kept is None or kept[0] is not candles:
        own = replace(_copied(candles), fine=candles.fine and _copied(candles.fine))
        _last = kept = (candles, own)
    return kept[1]


def _copied(candles: Candles) -> Candles:
    return replace(candles, records=candles.records.copy())


@contextmanager
def _told_in_one_line() -> Iterator[None]:
    try:
        yield
    except WorkbenchError:
        raise
    except Exception as error:  # of Dask, or of a worker without the workbench
        raise UsageError(
            f"the cluster could not run a batch: {type(error).__name__}: {error}; look at the workers' "
            "logs, mend that, and run again"
        ) from error
