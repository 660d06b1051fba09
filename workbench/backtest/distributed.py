"""Beyond one machine: batches on a Dask cluster that stands already, with the same bytes as here.

Nothing home-made: Dask keeps the queue, moves the candles and runs again what a lost worker had. The
candles go out as a task's result and not as scattered memory, so they too can be made again. Only a
few batches a core are under way at once, so that a study of any length needs little memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np

from workbench.backtest.batches import Batch, Done, SpecName, Work, run_batch
from workbench.backtest.setting import Costs
from workbench.errors import UsageError
from workbench.market.candles import Candles

if TYPE_CHECKING:
    from distributed import Client, Future

AHEAD_PER_CORE = 3


@dataclass(frozen=True, slots=True)
class _Parcel:
    """A batch as it travels."""

    spec: SpecName
    params: np.ndarray
    costs: Costs
    all_history: bool


def run_on(
    client: Client, numbers: Sequence[int], work: Callable[[int], Work]
) -> Iterator[tuple[int, Done]]:
    """Run batches on the cluster and yield (number, done) as they finish.

    What is under way is cancelled when the caller stops, by Ctrl-C or by closing the iterator.
    Raises UsageError where the client is none or has no workers, and what a batch raised there.
    """
    from distributed import as_completed

    cores = _cores(client)
    waiting = iter(numbers)
    running: dict[Future, int] = {}
    series: dict[str, Future] = {}
    queue = as_completed([])
    try:
        for number in waiting:
            queue.add(_submit(client, number, work, running, series))
            if len(running) >= cores * AHEAD_PER_CORE:
                break
        for future in queue:
            yield running.pop(future), _result(future)
            number = next(waiting, -1)
            if number >= 0:
                queue.add(_submit(client, number, work, running, series))
    finally:
        if running:
            client.cancel(list(running), force=True)


def _submit(
    client: Client,
    number: int,
    work: Callable[[int], Work],
    running: dict[Future, int],
    series: dict[str, Future],
) -> Future:
    candles, batch = work(number)
    key = f"{candles.symbol}-{candles.timeframe}-{candles.first}-{len(candles.records)}"
    if key not in series:
        series.clear()  # batches come series by series; what is under way holds on to its own
        series[key] = client.submit(_receive, candles, pure=False, retries=3)
    parcel = _Parcel(SpecName.of(batch.spec), batch.params, batch.costs, batch.all_history)
    future = client.submit(_run_parcel, series[key], parcel, pure=False, retries=3)
    running[future] = number
    return future


def _receive(candles: Candles) -> Candles:
    return candles


def _run_parcel(candles: Candles, parcel: _Parcel) -> Done:
    # What came over the wire may be read-only or not aligned; the kernel wants its own.
    own = replace(candles, records=candles.records.copy())
    batch = Batch(parcel.spec.load(), parcel.params.copy(), parcel.costs, parcel.all_history)
    return run_batch(own, batch, threads=1)


def _result(future: Future) -> Done:
    return cast(Done, future.result())


def _cores(client: Client) -> int:
    if not hasattr(client, "submit") or not hasattr(client, "scheduler_info"):
        raise UsageError(f"on={client!r} is no Dask client; give distributed.Client(address)")
    workers = client.ncores()
    if not workers:
        raise UsageError("the cluster has no workers; start one with `dask worker ADDRESS`")
    return sum(workers.values())
