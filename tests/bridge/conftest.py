"""One local exchange for all of these tests, and a fresh home with an account of its own for each stage."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bridge.stage import Market, Stage
from tests.conftest import shared_path

ACCOUNTS = 24


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    """Run the exchange on recorded candles, in step pace."""
    shared_path("data")
    running = Market.start(
        accounts=ACCOUNTS, keys_file=tmp_path_factory.mktemp("market") / "keys.json"
    )
    yield running
    running.end()


@pytest.fixture(scope="session")
def _next_account() -> Iterator[int]:
    return itertools.count()


@pytest.fixture
def keys(market: Market, _next_account: Iterator[int]) -> dict[str, str]:
    """Return an account of the market that nobody else uses."""
    found: dict[str, str] = market.told["accounts"][next(_next_account)]
    return found


@pytest.fixture
def make_stage(
    market: Market, _next_account: Iterator[int], tmp_path: Path
) -> Iterator[Callable[[], Stage]]:
    """Return a maker of stages; what they started is stopped at the end."""
    made: list[Stage] = []

    def make() -> Stage:
        stage = Stage(
            tmp_path / f"home{len(made)}", market, market.told["accounts"][next(_next_account)]
        )
        stage.make_vault()
        made.append(stage)
        return stage

    yield make
    market.clear_faults()
    for stage in made:
        stage.end()
