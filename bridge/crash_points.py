"""Named places where a test may let the process die as by `kill -9`, once each.

`WORKBENCH_CRASH_AT=after_journal,after_send` arms names. A marker file in the home is written
first, so that the restarted process passes the same place unharmed. Without the variable every
call is a look-up in an empty set.
"""

from __future__ import annotations

import os
import signal

from bridge.home import home

POINTS = (
    "before_journal",
    "after_journal",
    "after_send",
    "after_reply",
    "after_book",
    "before_void",
    "before_cancel",
    "after_cancel",
    "before_answer",
    "before_place",
    "before_protection",
)
_ARMED = frozenset(filter(None, os.environ.get("WORKBENCH_CRASH_AT", "").split(",")))


def crash(point: str) -> None:
    """Die here if this point is armed and has not been used."""
    if point not in _ARMED:
        return
    marker = home() / f"crashed-at-{point}"
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
