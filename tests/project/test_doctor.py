"""The doctors tell what is off, with the mend, and change nothing."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import typer

from bridge.cli import doctor as bridge_doctor
from workbench.checks import Check, State, all_well, as_json, as_text
from workbench.cli import doctor


def named(checks: list[Check], name: str) -> Check:
    """Return the one check of that name."""
    return next(check for check in checks if check.name == name)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private state folder."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("WORKBENCH_HOME", str(folder))
    return folder


def test_the_environment_of_this_test_run_is_well(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    doctor.doctor(json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is True
    names = {check["name"] for check in told["checks"]}
    assert names == {"python", "packages", "cores", "home", "disk", "candles", "chromium"}


def test_a_state_folder_others_may_enter_is_off_with_exit_code_1(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.chmod(0o755)
    with pytest.raises(typer.Exit) as left:
        doctor.doctor(json=False)
    assert left.value.exit_code == 1
    assert f"mend: chmod go-rwx {home}" in capsys.readouterr().out


def test_looking_makes_no_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "none" / "yet"))
    assert all_well(doctor.examine())
    assert named(bridge_doctor.examine(tmp_path / "none" / "yet"), "vault").state is State.NOTE
    assert list(tmp_path.iterdir()) == []


def test_a_package_outside_its_bounds_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        doctor, "requires", lambda _: ["numpy<1.0", "no-such-thing>=2", "ruff<0.1; extra == 'dev'"]
    )
    check = named(doctor.examine(), "packages")
    assert check.state is State.OFF
    assert "numpy" in check.found
    assert "no-such-thing is missing" in check.found
    assert "ruff" not in check.found
    assert check.mend == "make setup"


def test_a_bridge_at_rest_is_well_and_says_what_comes_next(home: Path) -> None:
    checks = bridge_doctor.examine(home)
    assert named(checks, "vault").mend.startswith("bridge keys add")
    assert named(checks, "supervisor").mend == "bridge serve"
    assert named(checks, "home").state is State.OK


def test_a_vault_that_others_can_read_is_off(home: Path) -> None:
    (home / "vault.json").write_text("{}")
    (home / "vault.json").chmod(0o644)
    check = named(bridge_doctor.examine(home), "vault")
    assert (check.state, check.mend) == (State.OFF, f"chmod 600 {home / 'vault.json'}")


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a memory file system to point at")
def test_a_journal_in_memory_is_off() -> None:
    check = named(bridge_doctor.examine(Path("/dev/shm")), "journal disk")
    assert check.state is State.OFF
    assert "tmpfs" in check.found


class Answers(BaseHTTPRequestHandler):
    """A supervisor that knows one token."""

    def do_GET(self) -> None:
        known = self.headers["Authorization"] == "Bearer good" and self.path == "/v1/state"
        body = json.dumps({"supervisor": {}, "accounts": [{}], "instances": [{}, {}]}).encode()
        self.send_response(200 if known else 401)
        self.end_headers()
        self.wfile.write(body if known else b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output quiet."""


@pytest.fixture
def url() -> Iterator[str]:
    """A supervisor's address."""
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("token", "state", "says"),
    [("good", State.OK, "1 accounts, 2 instances"), ("bad", State.OFF, "answers 401")],
)
def test_the_supervisor_is_asked_with_its_token(
    home: Path, url: str, token: str, state: State, says: str
) -> None:
    door = {"url": url, "token": token, "pid": os.getpid(), "started_ms": 0}
    (home / "supervisor.json").write_text(json.dumps(door))
    check = named(bridge_doctor.examine(home), "supervisor")
    assert check.state is state
    assert says in check.found


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        '{"url": "http://127.0.0.1:1", "token": "t", "pid": 1}',
        '{"url": "http://192.0.2.1:80", "token": "t", "pid": 1}',
    ],
)
def test_a_supervisor_that_is_gone_or_elsewhere_is_off(home: Path, content: str) -> None:
    (home / "supervisor.json").write_text(content)
    check = named(bridge_doctor.examine(home), "supervisor")
    assert check.state is State.OFF
    assert "bridge serve" in check.mend


def test_text_and_json_say_the_same() -> None:
    checks = [Check("disk", State.OFF, "0.1 GB free", "free some"), Check("cores", State.OK, "2")]
    assert as_text(checks).splitlines() == [
        "off   disk           0.1 GB free",
        "                     mend: free some",
        "ok    cores          2",
    ]
    assert json.loads(as_json(checks)) == {
        "ok": False,
        "checks": [
            {"name": "disk", "state": "off", "found": "0.1 GB free", "mend": "free some"},
            {"name": "cores", "state": "ok", "found": "2", "mend": ""},
        ],
    }
