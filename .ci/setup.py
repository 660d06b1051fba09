"""Put the project and its tools into .venv; a second call with nothing changed does nothing.

Run by `make` as `python .ci/setup.py [peers] [chromium]` with a Python that `.ci/find-python` chose.
Each step leaves a stamp, the hash of the files it came from, and is skipped while that holds.
uv installs in seconds; where pip cannot get uv, pip does it in minutes. Both check every hash.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"
LOG = VENV / "setup.log"
PROJECT = ROOT / "pyproject.toml"
LOCK = ROOT / "requirements.lock"
PEERS = ROOT / "requirements-peers.lock"
NEEDED_BYTES = 2_500_000_000
LOCKED = ["--require-hashes", "--only-binary", ":all:", "-r"]
CHROMIUMS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
DISK_FULL = "the disk is full; free some space and run it again"
NO_NETWORK = "the package index did not answer; check the network and run it again"
# What went wrong, by the words that installers use for it, and the mend.
CAUSES = (
    (r"No space left|ENOSPC", DISK_FULL),
    (r"hash mismatch|DO NOT MATCH", "a package is not the one that was locked; not installed"),
    (
        r"name resolution|timed out|[Cc]onnection|error sending request|Failed to fetch"
        r"|[Uu]nreachable|[Pp]roxy",
        NO_NETWORK,
    ),
    (
        r"No matching distribution|Wheels are required",
        "a locked package has no wheel for this machine",
    ),
    (r"ensurepip", "this Python cannot make environments; on Debian: apt-get install python3-venv"),
)


class SetupFailed(Exception):
    """A step failed; the message is the one line to show."""


def main(steps: list[str]) -> int:
    """Do the asked steps in order: 0 when all stand, 2 with one readable line when one does not."""
    try:
        install_project()
        if "peers" in steps:
            install_peers()
        if "chromium" in steps:
            offer_chromium()
    except SetupFailed as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 2
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        mend = DISK_FULL if error.errno == errno.ENOSPC else error.strerror
        print(f"error: {where}{mend}", file=sys.stderr)
        return 2
    return 0


def install_project() -> None:
    """Make .venv, install the lock into it, then the project itself as editable."""
    runs = _venv_runs()
    if runs and _stamp_holds("project", LOCK, PROJECT):
        return
    began = time.monotonic()
    if not runs:
        _demand_space()
        say(f"making .venv with Python {sys.version.split()[0]}")
        _run([sys.executable, "-m", "venv", "--clear", str(VENV)], what="python -m venv")
    _get_uv()
    say(f"installing {_count(LOCK)} locked packages with {'uv' if UV.exists() else 'pip'}")
    _install([*LOCKED, str(LOCK)])
    _install(["--no-deps", "--no-build-isolation", "-e", str(ROOT)])
    _write_stamp("project", LOCK, PROJECT)
    say(f".venv is ready ({time.monotonic() - began:.0f} s)")


def install_peers() -> None:
    """Add the libraries that tests and benchmarks compare with."""
    if _stamp_holds("peers", LOCK, PEERS):
        return
    began = time.monotonic()
    say("adding the peers that the tests compare with")
    _install([*LOCKED, str(PEERS)])
    _write_stamp("peers", LOCK, PEERS)
    say(f"peers are ready ({time.monotonic() - began:.0f} s)")


def offer_chromium() -> None:
    """Install Debian's Chromium where that is possible, else say how to get one; never fail."""
    if any(shutil.which(name) for name in CHROMIUMS):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say("installing Chromium from Debian's packages for the browser tests")
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        packages = ["chromium", "fonts-liberation"]
        try:
            _run(["apt-get", "update"], what="apt-get update", env=quiet)
            _run(["apt-get", "install", "-y", "--no-install-recommends", *packages], env=quiet)
            return
        except SetupFailed as failure:
            say(str(failure))
    say(
        "no Chromium found: the browser tests will be skipped; get it with `sudo apt-get install"
        " chromium` (Debian, Ubuntu) or `brew install --cask chromium` (macOS)"
    )


def say(text: str) -> None:
    """Tell what happens, at once, and leave standard output to the command that follows."""
    print(f"setup: {text}", file=sys.stderr, flush=True)


def _venv_runs() -> bool:
    """Tell whether .venv was made in this folder and its Python, 3.11 to 3.13, still starts."""
    pip = VENV / "bin" / "pip"
    if not PYTHON.exists() or not pip.exists() or f"{VENV}/" not in pip.read_text():
        return False
    fits = "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))"
    return subprocess.run([PYTHON, "-c", fits], check=False).returncode == 0


def _demand_space() -> None:
    free = shutil.disk_usage(ROOT).free
    if free < NEEDED_BYTES:
        raise SetupFailed(
            f"{free / 1e9:.1f} GB free under {ROOT}, the packages need {NEEDED_BYTES / 1e9:.1f} GB;"
            " free some space and run it again"
        )


def _get_uv() -> None:
    """Install the locked uv with pip; going on without it is slower, not wrong."""
    if UV.exists():
        return
    block = re.search(r"^uv==.*(?:\n[ ].*)*", LOCK.read_text(), re.MULTILINE)
    if block is None:
        raise SetupFailed("requirements.lock holds no uv; run `make lock` where uv is installed")
    only_uv = VENV / "uv.lock.txt"
    only_uv.write_text(block.group() + "\n")
    try:
        _run([*_pip(), *LOCKED, str(only_uv)], what="pip install")
    except SetupFailed as failure:
        if NO_NETWORK in str(failure) or DISK_FULL in str(failure):
            raise
        say("pip could not get uv; going on with pip, which takes minutes")


def _install(arguments: list[str]) -> None:
    if UV.exists():
        try:
            return _run([str(UV), "pip", "install", "-q", "--python", str(PYTHON), *arguments])
        except SetupFailed as failure:
            # pip may know an index or a proxy from its own configuration.
            if NO_NETWORK not in str(failure):
                raise
            say("uv could not install; trying pip, which takes minutes")
    return _run([*_pip(), *arguments])


def _pip() -> list[str]:
    calm = ["-q", "--no-input", "--no-compile", "--disable-pip-version-check", "--retries", "2"]
    return [str(PYTHON), "-m", "pip", "install", *calm]


def _run(command: list[str], *, what: str | None = None, env: dict[str, str] | None = None) -> None:
    """Run quietly, keep the words in setup.log, and turn a failure into one line with the mend."""
    done = subprocess.run(
        command, check=False, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    told = done.stdout + done.stderr
    if VENV.is_dir():
        with LOG.open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(command)}\n{told}\n")
    if done.returncode == 0:
        return
    name = what or " ".join(Path(part).name for part in command[:3])
    for pattern, mend in CAUSES:
        if re.search(pattern, told):
            raise SetupFailed(f"{name}: {mend} (details in .venv/setup.log)")
    last = told.strip().splitlines()[-1] if told.strip() else f"exit code {done.returncode}"
    raise SetupFailed(f"{name} failed: {last[:300]} (details in .venv/setup.log)")


def _count(lock: Path) -> int:
    return len(re.findall(r"^[A-Za-z0-9][^ ]*==", lock.read_text(), re.MULTILINE))


def _digest(files: tuple[Path, ...]) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _stamp_holds(step: str, *files: Path) -> bool:
    stamp = VENV / f".{step}-stamp"
    return stamp.exists() and stamp.read_text() == _digest(files)


def _write_stamp(step: str, *files: Path) -> None:
    (VENV / f".{step}-stamp").write_text(_digest(files))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
