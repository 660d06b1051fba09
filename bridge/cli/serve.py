"""`bridge serve`: the supervisor's process, and with it a gateway for every account of the vault."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json as json_text
import logging
import os
import secrets
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from bridge.cli.keys import read_passphrase
from bridge.clock import SystemClock
from bridge.config import parse_venue_urls
from bridge.control_api import build
from bridge.home import home, log_folder, supervisor_file, vault_path, write_private
from bridge.lifetimes import die_with_parent, keep_secrets_in_memory
from bridge.supervisor import Supervisor
from bridge.vault import Vault
from workbench.errors import UsageError

LOOPBACK = "127.0.0.1"


def serve(
    port: Annotated[
        int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65_535)
    ] = 0,
    venue_url: Annotated[
        list[str] | None, typer.Option(help="local=REST,WS: where the local exchange listens.")
    ] = None,
    passphrase_fd: Annotated[
        int | None, typer.Option(help="Read the vault's passphrase from this file descriptor.")
    ] = None,
    locked: Annotated[
        bool, typer.Option("--locked", help="Leave the vault locked: only watch what runs already.")
    ] = False,
    ephemeral: Annotated[
        bool, typer.Option("--ephemeral", help="End everything with the parent process or stdin.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print {url, token, pid} as first line.")
    ] = False,
) -> None:
    """Serve the control API on loopback and keep the gateways alive until interrupted."""
    os.umask(0o077)
    keep_secrets_in_memory()
    if ephemeral:
        die_with_parent(os.getppid())
    urls = parse_venue_urls(venue_url or [])
    lock = _only_one()
    vault = None if locked else Vault.open(vault_path(), read_passphrase(passphrase_fd))
    try:
        asyncio.run(
            _serve(
                port,
                Supervisor(vault, urls, ephemeral=ephemeral, clock=SystemClock()),
                json,
                ephemeral,
            )
        )
    finally:
        os.close(lock)


async def _serve(port: int, supervisor: Supervisor, as_json: bool, ephemeral: bool) -> None:
    listener = _listen(port)
    port = listener.getsockname()[1]
    token = secrets.token_urlsafe(32)
    app = build(supervisor, token=token, port=port)
    _log_errors()
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(
        server._serve(sockets=[listener])
    )  # `serve` would take our signals
    living = asyncio.ensure_future(supervisor.run())
    _stop_on_signals(living, ephemeral)
    while not server.started and not serving.done():
        await asyncio.sleep(0.005)
    _announce(f"http://{LOOPBACK}:{port}", token, as_json)
    try:
        await asyncio.wait({serving, living}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        living.cancel()
        server.should_exit = server.force_exit = True
        await supervisor.end()
        await asyncio.wait({serving}, timeout=3.0)
        supervisor_file().unlink(missing_ok=True)
        if not ephemeral:
            print("gateways trade on; `bridge serve` finds them again", file=sys.stderr)
        with contextlib.suppress(asyncio.CancelledError):
            await living


def _log_errors() -> None:
    """Write uvicorn's complaints (tracebacks, never requests or headers) to the private log folder."""
    path = log_folder() / "supervisor.log"
    path.touch(mode=0o600)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("uvicorn")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.WARNING)


def _announce(url: str, token: str, as_json: bool) -> None:
    told = {"url": url, "token": token, "pid": os.getpid()}
    write_private(
        supervisor_file(), json_text.dumps({**told, "started_ms": SystemClock().wall_ms()})
    )
    if as_json:
        print(json_text.dumps(told), flush=True)
    else:
        print(f"supervisor on {url}; its token is in {supervisor_file()}", flush=True)


def _stop_on_signals(living: asyncio.Future[None], ephemeral: bool) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, living.cancel)
    if not ephemeral:
        return

    def read_stdin() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin.fileno())
            living.cancel()

    with contextlib.suppress(
        PermissionError, ValueError, OSError
    ):  # a plain file or no stdin at all
        if not _is_null(sys.stdin.fileno()):
            loop.add_reader(sys.stdin.fileno(), read_stdin)


def _is_null(descriptor: int) -> bool:
    return os.fstat(descriptor).st_rdev == os.stat(os.devnull).st_rdev


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
    except OSError as error:
        raise UsageError(
            f"port {port} on {LOOPBACK} cannot be used ({error.strerror}); pass --port 0"
        ) from None
    return listener


def _only_one() -> int:
    path: Path = home() / "supervisor.lock"
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UsageError(
            f"a supervisor serves {home()} already; see `bridge status`, or set WORKBENCH_HOME"
        ) from None
    return descriptor
