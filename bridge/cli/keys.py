"""`bridge keys add | list | remove`: what goes into the vault, without passing argv, env or history.

The passphrase comes from a hidden prompt or a file descriptor; API key and secret from prompts on a
terminal, else from standard input: the API key on its first line, the secret in all that follows.
"""

from __future__ import annotations

import getpass
import json
import os
import sys
from dataclasses import asdict
from typing import Annotated, get_args

import typer

from bridge.config import VenueName
from bridge.home import vault_path
from bridge.vault import Entry, Vault
from workbench.errors import UsageError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    help="Keep exchange keys in the encrypted vault.",
)

Name = Annotated[str, typer.Argument(help="The account's name, as instances will refer to it.")]
PassphraseFd = Annotated[
    int | None,
    typer.Option("--passphrase-fd", help="Read the passphrase from this file descriptor."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def add(
    name: Name,
    venue: Annotated[str, typer.Option(help="local, testnet or demo; mainnet is off.")],
    kind: Annotated[str, typer.Option(help="HMAC, RSA or ED25519.")] = "HMAC",
    passphrase_fd: PassphraseFd = None,
    as_json: AsJson = False,
) -> None:
    """Store an account's API key and secret; the first key makes the vault."""
    _demand_known(venue)
    vault = _unlock(passphrase_fd, create=True)
    entry = vault.add(name, venue, *_read_key(), kind=kind)
    _print([entry], as_json=as_json)


@app.command("list")
def list_keys(passphrase_fd: PassphraseFd = None, as_json: AsJson = False) -> None:
    """List what is stored: names, venues, kinds and fingerprints, never a key."""
    _print(_unlock(passphrase_fd).names(), as_json=as_json)


@app.command()
def remove(name: Name, passphrase_fd: PassphraseFd = None, as_json: AsJson = False) -> None:
    """Forget an account's keys; delete them at the exchange as well."""
    vault = _unlock(passphrase_fd)
    vault.remove(name)
    _print(vault.names(), as_json=as_json)


def read_passphrase(fd: int | None, *, confirm: bool = False) -> str:
    """Return the passphrase from `fd`, else from a hidden prompt; UsageError where there is neither."""
    if fd is not None:
        return _read_fd(fd)
    if not _on_terminal():
        raise UsageError(
            "no terminal to ask for the passphrase; hand it over with --passphrase-fd N"
        )
    passphrase = getpass.getpass("Vault passphrase: ")
    if confirm and getpass.getpass("Once more: ") != passphrase:
        raise UsageError("the two passphrases differ; nothing was stored")
    return passphrase


def _unlock(fd: int | None, *, create: bool = False) -> Vault:
    path = vault_path()
    if create and not path.exists():
        return Vault.create(path, read_passphrase(fd, confirm=True))
    if not path.exists():
        raise UsageError(f"no vault at {path}; make one with `bridge keys add NAME --venue VENUE`")
    return Vault.open(path, read_passphrase(fd))


def _read_key() -> tuple[str, str]:
    if _on_terminal():
        return input("API key: "), getpass.getpass("Secret (hidden): ")
    api_key, _, secret = sys.stdin.read().partition("\n")
    if not secret.strip():
        raise UsageError("standard input: the API key on line 1 and the secret after it are needed")
    return api_key, secret


def _read_fd(fd: int) -> str:
    try:
        with os.fdopen(fd, encoding="utf-8", closefd=False) as pipe:
            return pipe.read().removesuffix("\n")
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"--passphrase-fd {fd}: cannot read a passphrase there") from None


def _on_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _demand_known(venue: str) -> None:
    venues = get_args(VenueName)
    if venue not in venues:
        raise UsageError(f"venue {venue!r} is not one of {', '.join(venues)}")
    if venue == "mainnet":
        raise UsageError("mainnet is off in this version, so its keys have no place here yet")


def _print(entries: list[Entry], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(entry) for entry in entries]))
        return
    for entry in entries:
        print(f"{entry.name:<16} {entry.venue:<8} {entry.kind:<8} {entry.fingerprint}")
    if not entries:
        print("the vault holds no keys")
