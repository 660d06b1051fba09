"""The gateway's end of a runner: start it, ask it, and tell a dead one from a slow or faulty one."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass

from bridge.journal_rows import JsonObject
from bridge.runner_wire import CASH, HEADER_SIZE, Frame, Kind, decode_header
from workbench.errors import WorkbenchError

LOAD_TIMEOUT = 60.0  # a foreign strategy is compiled in it


class RunnerGone(WorkbenchError):
    """The runner's process died; another one may be asked the same."""


class RunnerFault(WorkbenchError):
    """The strategy failed, answered wrongly or too late: the instance must not decide on."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a runner says of the strategy it has loaded."""

    code_sha: str
    params: JsonObject
    first_value: int
    stable: int
    state_layout: str
    initial_state: bytes
    writes_ladders: bool = False
    writes_levels: bool = False


class RunnerLink:
    """One runner and its socket."""

    def __init__(
        self, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.pid = pid
        self._reader = reader
        self._writer = writer
        self._sha = bytes(32)

    async def load(self, strategy: str, params: JsonObject, code_sha: str) -> Loaded:
        """Load a strategy; an empty code_sha takes the present one. Raises RunnerFault, RunnerGone."""
        wish = json.dumps({"strategy": strategy, "params": dict(params), "code_sha": code_sha})
        frame = await self._ask(Frame(Kind.LOAD, 0, wish.encode()), Kind.READY, LOAD_TIMEOUT)
        self._sha = frame.code_sha
        return Loaded(**json.loads(frame.first), initial_state=frame.second)

    async def warm_up(self, state: bytes, candles: bytes, cash: float) -> bytes:
        """Return the state after these candles, their intents ignored, flat and with `cash`."""
        frame = Frame(Kind.WARM, 0, state, candles, CASH.pack(cash), self._sha)
        return (await self._ask(frame, Kind.WARMED, LOAD_TIMEOUT)).first

    async def decide(
        self, seq: int, state: bytes, candle: bytes, position: bytes, *, timeout: float
    ) -> tuple[bytes, bytes]:
        """Return (state', intent) for one Bar."""
        frame = Frame(Kind.BAR, seq, state, candle, position, self._sha)
        decision = await self._ask(frame, Kind.DECISION, timeout)
        return decision.first, decision.second

    def close(self) -> None:
        """Close the socket, on which the runner ends."""
        self._writer.close()

    async def _ask(self, frame: Frame, expected: Kind, timeout: float) -> Frame:
        try:
            self._writer.write(frame.encode())
            async with asyncio.timeout(timeout):
                header = decode_header(await self._reader.readexactly(HEADER_SIZE))
                answer = header.with_body(await self._reader.readexactly(header.body_size))
        except TimeoutError:
            self.close()
            raise RunnerFault(
                f"the strategy took longer than {timeout:g} s for one candle"
            ) from None
        except (ConnectionError, asyncio.IncompleteReadError):
            self.close()
            raise RunnerGone(f"runner {self.pid} died") from None
        if answer.kind is Kind.FAULT:
            raise RunnerFault(answer.first.decode(errors="replace"))
        if answer.kind is not expected or answer.seq != frame.seq:
            raise RunnerFault(
                f"runner answered {answer.kind.name} {answer.seq} to {frame.kind.name} {frame.seq}"
            )
        return answer


class RunnerFactory:
    """Starts runners through the fork server, and the fork server itself when it is missing."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._lock = asyncio.Lock()

    def warm(self) -> None:
        """Start the fork server now, so that the first instance need not wait for its imports."""
        self._ensure_server()

    async def start(self, strategy: str) -> RunnerLink:
        """Return a fresh runner. Raises RunnerGone when none can be started."""
        async with self._lock:
            ours, theirs = socket.socketpair()
            try:
                control = self._ensure_server()
                socket.send_fds(
                    control, [json.dumps({"strategy": strategy}).encode()], [theirs.fileno()]
                )
                pid = int(await asyncio.wait_for(_read_line(control), LOAD_TIMEOUT))
            except (OSError, ValueError, TimeoutError) as error:
                ours.close()
                self.close()
                raise RunnerGone(f"the fork server of the runners died ({error!r})") from None
            finally:
                theirs.close()
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        return RunnerLink(pid, reader, writer)

    def close(self) -> None:
        """End the fork server and with it all runners."""
        if self._control is not None:
            self._control.close()
        if self._server is not None:
            self._server.kill()
            self._server.wait()
        self._server = self._control = None

    def _ensure_server(self) -> socket.socket:
        if self._server is not None and self._server.poll() is None and self._control is not None:
            return self._control
        self.close()
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "bridge.runner", str(theirs.fileno())]
        self._server = subprocess.Popen(
            command,
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=_scrubbed(),
        )
        theirs.close()
        ours.setblocking(False)
        self._control = ours
        return ours


async def _read_line(control: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        part = await asyncio.get_running_loop().sock_recv(control, 64)
        if not part:
            raise OSError("control socket closed")
        line += part
    return line


def _scrubbed() -> dict[str, str]:
    kept = ("PATH", "LANG", "LC_ALL", "TZ", "WORKBENCH_HOME", "NUMBA_CPU_NAME", "NUMBA_CACHE_DIR")
    return {name: os.environ[name] for name in kept if name in os.environ}
