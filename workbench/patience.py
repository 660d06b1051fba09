"""Waiting for compiled work that may never end: nothing can interrupt it, so it gets a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from workbench.errors import UsageError


def within(seconds: float, work: Callable[[], None], *, name: str, late: str) -> None:
    """Do the work and raise what it raises; UsageError with the text `late` where it does not come back."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise UsageError(late)
    if failed:
        raise failed[0]
