"""The runner: one process an instance that answers Bars with Decisions, and the small server that forks them.

A runner holds no key, no file and no clock; it may hang or die without harm. It is forked from a
server that has numba and the shipped strategies' compiled code in memory already, so that a new
one is ready in milliseconds. `python -m bridge.runner FD` is that server: it gets a socket a
runner through FD, and dies with its gateway.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import signal
import socket
import sys
from typing import Any

import numpy as np

from bridge.lifetimes import die_with_parent
from bridge.runner_wire import CASH, HEADER_SIZE, Frame, Kind, decode_header
from workbench import strategies
from workbench.core.records import POSITION
from workbench.errors import UsageError, WorkbenchError
from workbench.execution.instance import Decider
from workbench.market.candles import CANDLE

MEMORY_LIMIT = 2 * 1024**3
KEPT_VARIABLES = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "WORKBENCH_HOME",
    "NUMBA_CPU_NAME",
    "NUMBA_CACHE_DIR",
)


class Runner:
    """The pure function server: no state of its own beyond the loaded strategy."""

    def __init__(self) -> None:
        self._decider: Decider | None = None
        self._sha = b""

    def answer(self, frame: Frame) -> Frame:
        """Answer one frame; whatever goes wrong in the strategy becomes a FAULT."""
        try:
            if frame.kind is Kind.LOAD:
                return self._load(json.loads(frame.first))
            if self._decider is None:
                raise UsageError(f"{frame.kind.name} before LOAD")
            if frame.code_sha != self._sha:
                raise UsageError(
                    f"code {frame.code_sha.hex()[:12]} was asked for, {self._sha.hex()[:12]} is loaded"
                )
            if frame.kind is Kind.WARM:
                records = np.frombuffer(frame.second, CANDLE)
                (cash,) = CASH.unpack(frame.third)
                state = self._decider.warm_up(records, frame.first, cash)
                return Frame(Kind.WARMED, frame.seq, state, code_sha=self._sha)
            if frame.kind is Kind.BAR:
                state, intent = self._decider.decide(frame.first, frame.second, frame.third)
                return Frame(Kind.DECISION, frame.seq, state, intent, code_sha=self._sha)
            raise UsageError(f"a runner is never sent {frame.kind.name}")
        except WorkbenchError as error:
            return Frame(Kind.FAULT, frame.seq, str(error).encode())
        except Exception as error:  # the strategy is foreign code
            return Frame(Kind.FAULT, frame.seq, f"{type(error).__name__}: {error}".encode())

    def _load(self, wish: dict[str, Any]) -> Frame:
        spec = strategies.load(wish["strategy"], wish["code_sha"])
        if wish["code_sha"] and wish["code_sha"] != spec.sha:
            raise UsageError(
                f"strategy {spec.name} has changed: the instance runs {wish['code_sha'][:12]}, "
                f"this is {spec.sha[:12]}; stop the instance and start it anew"
            )
        params = spec.params(**wish["params"])
        self._decider = Decider(spec, params)
        self._sha = bytes.fromhex(spec.sha)
        loaded = {
            "code_sha": spec.sha,
            "params": spec.values(params),
            "first_value": int(spec.first_value(params)),
            "stable": int(spec.stable(params)),
            "writes_ladders": spec.writes_ladders,
            "writes_levels": spec.writes_levels,
            "state_layout": hashlib.sha256(repr(spec.state_dtype).encode()).hexdigest(),
        }
        self._compile()
        return Frame(
            Kind.READY,
            0,
            json.dumps(loaded).encode(),
            self._decider.initial_state(),
            b"",
            self._sha,
        )

    def _compile(self) -> None:
        """Decide once for nothing, so that the first Bar does not wait for the compiler."""
        assert self._decider is not None
        candle = np.ones((), CANDLE).tobytes()
        state = self._decider.initial_state()
        self._decider.decide(state, candle, np.zeros((), POSITION).tobytes())


def serve(link: socket.socket) -> None:
    """Answer frames until the gateway closes the socket."""
    runner = Runner()
    while True:
        head = _read(link, HEADER_SIZE)
        if head is None:
            return
        header = decode_header(head)
        body = _read(link, header.body_size)
        if body is None:
            return
        link.sendall(runner.answer(header.with_body(body)).encode())


def fork_server(control: socket.socket) -> None:
    """Fork a runner for each socket received; when the gateway is gone, kill them all and end."""
    os.umask(0o077)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the supervisor
    children: list[int] = []
    prepared: set[str] = set()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 4096, 1)
        if not message or not descriptors:
            break
        _prepare(json.loads(message)["strategy"], prepared)
        pid = os.fork()
        if pid == 0:
            _become_runner(control, socket.socket(fileno=descriptors[0]))
        os.close(descriptors[0])
        children.append(pid)
        control.sendall(f"{pid}\n".encode())
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def describe() -> list[dict[str, object]]:
    """Return what a form needs to know of each strategy, shipped or the user's own.

    One of the user's own that no longer loads is left out, and said on stderr.
    """
    described = [strategies.load(name).describe() for name in strategies.names()]
    for name in strategies.own_names():
        try:
            described.append(strategies.load(name).describe())
        except UsageError as error:
            print(error, file=sys.stderr)
    return described


def _become_runner(control: socket.socket, link: socket.socket) -> None:
    code = 1
    try:
        control.close()
        die_with_parent()
        scrub_environment()
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        serve(link)
        code = 0
    finally:
        os._exit(code)


def scrub_environment() -> None:
    """Keep only what finding the code needs."""
    for name in list(os.environ):
        if name not in KEPT_VARIABLES:
            del os.environ[name]


def _prepare(name: str, prepared: set[str]) -> None:
    """Compile a shipped strategy here, once, so that every fork has it; foreign ones compile in their own runner."""
    if name in prepared or name not in strategies.names():
        return
    prepared.add(name)
    wish = {"strategy": name, "code_sha": "", "params": {}}
    Runner().answer(Frame(Kind.LOAD, 0, json.dumps(wish).encode()))


def _read(link: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        try:
            part = link.recv(size - len(parts))
        except ConnectionError:
            return None
        if not part:
            return None
        parts += part
    return bytes(parts)


def _main(arguments: list[str]) -> None:
    if arguments == ["describe"]:
        print(json.dumps(describe()))
        return
    die_with_parent()
    fork_server(socket.socket(fileno=int(arguments[0])))


if __name__ == "__main__":
    _main(sys.argv[1:])
