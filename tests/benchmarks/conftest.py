"""Benchmarks measure what a user gets: the ledger's entries are on the disk before a result is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.analysis import trial_file


@pytest.fixture(scope="session", autouse=True)
def on_the_disk(workbench_home: Path) -> None:
    trial_file.SYNCHRONOUS = "FULL"
