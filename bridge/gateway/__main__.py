"""The gateway's process: reads its configuration and keys from stdin, takes the account's locks, and serves.

The first line of stdin is {"config": ..., "api_key": ..., "secret": ..., "kind": ...}. With
`ephemeral` stdin stays open, and its end is the end of the gateway; without it the gateway has a
session of its own and lives on.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from bridge.clock import SystemClock
from bridge.config import GatewayConfig
from bridge.exchanges.binance import BinanceExchange
from bridge.gateway.rpc import Door
from bridge.gateway.service import Service
from bridge.home import account_folder, gateway_socket, home, journal_path
from bridge.journal import Journal
from bridge.lifetimes import die_with_parent, keep_secrets_in_memory
from bridge.limits import WeightBudget
from workbench.errors import UsageError, WorkbenchError


def main() -> int:
    """Run until told to stop; return the exit code."""
    os.umask(0o077)
    keep_secrets_in_memory()
    told = json.loads(sys.stdin.readline())
    config = GatewayConfig.model_validate(told["config"])
    if config.ephemeral:
        die_with_parent(told["supervisor_pid"])
    try:
        locks = [
            _lock(account_folder(config.account) / "gateway.lock", f"account {config.account}"),
            _lock(_key_lock(told["api_key"]), f"the API key of account {config.account}"),
        ]
        asyncio.run(_serve(config, told))
    except WorkbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    del locks
    return 0


async def _serve(config: GatewayConfig, keys: dict[str, Any]) -> None:
    clock = SystemClock()
    exchange = BinanceExchange(
        config.venue,
        keys.pop("api_key"),
        keys.pop("secret"),
        keys.pop("kind"),
        clock=clock,
        budget=WeightBudget(clock),
    )
    journal = Journal(journal_path(config.account), account=config.account)
    service = Service(config, journal, exchange, clock)
    path = gateway_socket(config.account)
    server = await Door(service).open(path)

    def end() -> None:
        """Crash-only: what is on disk is all there is to keep, so there is nothing to wind down."""
        path.unlink(missing_ok=True)
        os._exit(0)

    def end_with_stdin() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            end()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    if config.ephemeral:
        loop.add_reader(sys.stdin.fileno(), end_with_stdin)
    await service.run()
    server.close()


def _lock(path: Path, what: str) -> int:
    """Hold a lock as long as this process lives. Raises UsageError when another process has it."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UsageError(
            f"{what} is traded by another gateway of this machine; stop that one first"
        ) from None
    return descriptor


def _key_lock(api_key: str) -> Path:
    digest = hashlib.sha256(api_key.encode()).hexdigest()[:16]
    return home() / "accounts" / f"key-{digest}.lock"


if __name__ == "__main__":
    sys.exit(main())
