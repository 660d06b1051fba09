"""One account's gateway kept alive: found again after the supervisor's restart, started when there is none."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bridge.clock import Clock, back_off
from bridge.config import GatewayConfig, Venue
from bridge.gateway_link import GatewayLink, Unreachable
from bridge.home import log_folder
from bridge.vault_file import Credentials
from workbench.errors import WorkbenchError

START_TIMEOUT = 60.0
STEADY_AFTER = 60.0  # seconds of life after which earlier crashes are forgotten
# The gateway's own arithmetic is a few operations a candle: uncompiled it is ready at once
# after a crash.
UNCOMPILED = {"NUMBA_DISABLE_JIT": "1"}
KEPT_VARIABLES = (
    "PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "WORKBENCH_HOME",
    "WORKBENCH_CRASH_AT", "NUMBA_CPU_NAME", "NUMBA_CACHE_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip


class Keeper:
    """Watches one account; `credentials` is None while the vault is locked."""

    def __init__(
        self,
        account: str,
        venue: Venue,
        *,
        credentials: Callable[[], Credentials] | None,
        ephemeral: bool,
        clock: Clock,
    ) -> None:
        self.account = account
        self.link = GatewayLink(account, venue.name)
        self.state = "STARTING"
        self.alarm = ""
        self.names: frozenset[str] = frozenset()
        self._config = GatewayConfig(account=account, venue=venue, ephemeral=ephemeral)
        self._credentials = credentials
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None

    async def keep(self) -> None:
        """Attach, or start and restart with a back-off, for ever."""
        crashes = 0
        while True:
            if not await self.link.answers():
                if self._credentials is None:
                    self.state, self.alarm = "LOCKED", "no gateway runs and the vault is locked"
                    await self._clock.sleep(1.0)
                    continue
                await self._clock.sleep(back_off(crashes, first=0.2))
                await self._start()
            since = self._clock.elapsed()
            self.state = "ATTACHED"
            await self.link.until_gone()
            self.state = "RESTARTING"
            crashes = 1 if self._clock.elapsed() - since > STEADY_AFTER else crashes + 1
            if crashes >= 3:
                self.alarm = (
                    f"the gateway died {crashes} times in a row; see {self._log_path().name}"
                )

    async def view(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the account and its instances for GET /v1/state."""
        try:
            reply = await self.link.ask("state")
            account, instances = reply.body["account"], reply.body["instances"]
        except Unreachable as error:
            untold = self.state in ("STARTING", "LOCKED", "REFUSED")
            account = {
                "name": self.account,
                "venue": self._config.venue.name,
                "state": self.state if untold else "UNREACHABLE",
                "gateway_pid": None,
                "balances": {},
                "alarms": [] if untold else [str(error)],
            }
            instances = self.link.instances_on_disk()
        self.names = frozenset(one["name"] for one in instances)
        if self.alarm:
            account["alarms"] = [*account["alarms"], self.alarm]
        return account, instances

    async def end(self) -> None:
        """End the gateway (with ephemeral serve, or when asked to): its state is on disk."""
        if self._process is None:
            with contextlib.suppress(Unreachable, ProcessLookupError):
                pid = (await self.link.ask("state")).body["account"]["gateway_pid"]
                os.kill(pid, signal.SIGTERM)
            return
        self._process.terminate()
        for _ in range(50):
            if self._process.poll() is not None:
                return
            await self._clock.sleep(0.1)
        self._process.kill()
        self._process.wait()

    async def _start(self) -> None:
        if self._process is not None and self._process.poll() is None:
            await self._until_it_answers(self._process)
            return
        assert self._credentials is not None
        try:
            keys = self._credentials()
        except WorkbenchError as error:
            self.state, self.alarm = "REFUSED", str(error)
            await self._clock.sleep(5.0)
            return
        told = {
            "config": self._config.model_dump(),
            "supervisor_pid": os.getpid(),
            "api_key": keys.api_key,
            "secret": keys.secret,
            "kind": keys.kind,
        }
        self._process = self._spawn(json.dumps(told).encode() + b"\n")
        await self._until_it_answers(self._process)

    def _spawn(self, told: bytes) -> subprocess.Popen[bytes]:
        descriptor = os.open(self._log_path(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "bridge.gateway"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=descriptor,
                env=_environment(),
                start_new_session=not self._config.ephemeral,
            )
        finally:
            os.close(descriptor)
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(told)
            process.stdin.flush()
            if not self._config.ephemeral:
                process.stdin.close()
        return process

    async def _until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        end = self._clock.elapsed() + START_TIMEOUT
        while process.poll() is None and self._clock.elapsed() < end:
            if await self.link.answers():
                self.alarm = ""
                return
            await self._clock.sleep(0.05)
        if process.poll() is not None:
            self.alarm = f"the gateway ended with code {process.returncode}: {self._last_words()}"

    def _last_words(self) -> str:
        try:
            lines = self._log_path().read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return "no log"
        return lines[-1][:300] if lines else "it said nothing"

    def _log_path(self) -> Path:
        return log_folder() / f"gateway-{self.account}.log"


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ} | UNCOMPILED
