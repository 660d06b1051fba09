"""`bridge keys`: keys go in by pipe or prompt, and only their fingerprints come out."""

from __future__ import annotations

import json
import os
import pty
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bridge.cli.keys import app
from bridge.vault import Vault
from workbench.errors import UsageError

PASSPHRASE = "correct horse battery"
PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n-----END PRIVATE KEY-----\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a state folder of its own."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def keys(*words: str, stdin: str = "", passphrase: str = PASSPHRASE) -> Result:
    """Run `bridge keys` with the passphrase on a pipe."""
    reading, writing = os.pipe()
    os.write(writing, passphrase.encode() + b"\n")
    os.close(writing)
    try:
        command = [*words, "--passphrase-fd", str(reading)]
        return CliRunner().invoke(app, command, input=stdin)
    finally:
        os.close(reading)


def test_a_piped_key_is_stored_listed_and_removed(home: Path) -> None:
    added = keys("add", "main", "--venue", "testnet", "--json", stdin="the-key\nthe-secret\n")
    assert added.exit_code == 0, added.output
    fingerprint = sha256(b"the-key").hexdigest()[:16]
    row = {"name": "main", "venue": "testnet", "kind": "HMAC", "fingerprint": fingerprint}
    assert json.loads(added.stdout) == [row]
    assert Vault.open(home / "vault.json", PASSPHRASE).secret("main").secret == "the-secret"

    listed = keys("list")
    assert fingerprint in listed.stdout
    assert "the-key" not in listed.stdout + added.stdout
    assert "the-secret" not in listed.stdout + added.stdout

    assert json.loads(keys("remove", "main", "--json").stdout) == []


def test_a_private_key_of_several_lines_is_kept_whole(home: Path) -> None:
    done = keys("add", "ed", "--venue", "demo", "--kind", "ED25519", stdin=f"the-key\n{PEM}")
    assert done.exit_code == 0, done.output
    assert Vault.open(home / "vault.json", PASSPHRASE).secret("ed").secret == PEM.strip()


@pytest.mark.parametrize(
    ("words", "stdin", "says"),
    [
        (("add", "a", "--venue", "moon"), "k\ns\n", "not one of local, testnet, demo, mainnet"),
        (("add", "a", "--venue", "mainnet"), "k\ns\n", "mainnet is off"),
        (("add", "a", "--venue", "local", "--kind", "DSA"), "k\ns\n", "not one of HMAC"),
        (("add", "a", "--venue", "local"), "only-the-key\n", "line 1"),
        (("add", "../a", "--venue", "local"), "k\ns\n", "letters, digits"),
        (("list",), "", "no vault at"),
        (("remove", "a"), "", "no vault at"),
    ],
)
def test_each_refusal_is_one_line(words: tuple[str, ...], stdin: str, says: str) -> None:
    done = keys(*words, stdin=stdin)
    assert isinstance(done.exception, UsageError)
    assert says in str(done.exception)
    assert "\n" not in str(done.exception)


def test_without_a_terminal_the_passphrase_must_be_handed_over() -> None:
    done = CliRunner().invoke(app, ["add", "a", "--venue", "local"], input="k\ns\n")
    assert isinstance(done.exception, UsageError)
    assert "--passphrase-fd" in str(done.exception)


def test_no_option_takes_a_secret_from_the_command_line() -> None:
    shown = CliRunner().invoke(app, ["add", "--help"]).stdout
    assert "--passphrase-fd" in shown
    assert not any(word in shown for word in ("--secret", "--api-key", "--passphrase ", "envvar"))


def test_on_a_terminal_secrets_are_asked_for_and_not_echoed(home: Path) -> None:
    script = (
        "from bridge.cli.keys import app; app(['add', 'main', '--venue', 'local'],"
        " standalone_mode=False)"
    )
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", script])
    shown = b""
    answers = [PASSPHRASE, PASSPHRASE, "the-key", "the-secret"]
    for prompt, answer in zip(
        (b"passphrase:", b"more:", b"API key:", b"hidden):"), answers, strict=True
    ):
        while prompt not in shown:
            shown += os.read(terminal, 1024)
        os.write(terminal, answer.encode() + b"\n")
    try:
        while more := os.read(terminal, 1024):
            shown += more
    except OSError:
        pass  # Linux tells the end of a terminal's child as an error.
    os.close(terminal)
    assert os.waitpid(child, 0)[1] == 0, shown
    assert b"the-secret" not in shown
    assert PASSPHRASE.encode() not in shown
    assert Vault.open(home / "vault.json", PASSPHRASE).secret("main").api_key == "the-key"
