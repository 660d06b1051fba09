"""Voila in a process that ends with its parent: `python -m bridge.dashboard.serve`.

The parent holds the other end of standard input. When it closes, by a stop or by the parent's own
death, Voila gets the signal that makes it shut its kernels down first.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

PATIENCE_S = 8.0


def main() -> None:
    """Run Voila with this process's arguments until it is told to end or the parent is gone."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from voila.app import Voila

    Voila.launch_instance(sys.argv[1:])


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE_S)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
