"""Keys at rest: what goes in comes out, and nothing else ever does."""

from __future__ import annotations

import json
import os
import stat
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge import vault_file
from bridge.vault import KINDS, Cost, Credentials, Vault
from bridge.vault_file import Key
from workbench.errors import DataError, UsageError, WorkbenchError

CHEAP = Cost(iterations=1, memory_kib=32, lanes=4)
PASSPHRASE = "correct horse battery"
CANARY_KEY = "CANARYKEY0123456789abcdef"
CANARY_SECRET = "CANARYSECRETfedcba9876543210"

labels = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", fullmatch=True)
keys = st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1).filter(
    lambda text: text == text.strip()
)
# Any text that has a UTF-8 form; lone surrogates have none.
passphrases = st.text(st.characters(codec="utf-8"), min_size=8, max_size=40)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the vault lies."""
    return tmp_path / "home" / "vault.json"


@pytest.fixture
def vault(path: Path) -> Vault:
    """A vault with two accounts in it."""
    vault = Vault.create(path, PASSPHRASE, cost=CHEAP)
    vault.add("alpha", "testnet", CANARY_KEY, CANARY_SECRET)
    vault.add("beta", "local", "other-key", "other-secret", kind="ED25519")
    return vault


@settings(max_examples=60, deadline=None)
@given(labels, labels, keys, keys, st.sampled_from(KINDS), passphrases)
def test_what_was_stored_comes_out_after_reopening(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    venue: str,
    api_key: str,
    secret: str,
    kind: str,
    passphrase: str,
) -> None:
    path = tmp_path_factory.mktemp("vault") / "vault.json"
    Vault.create(path, passphrase, cost=CHEAP).add(name, venue, api_key, secret, kind=kind)
    reopened = Vault.open(path, passphrase)
    assert reopened.secret(name) == Credentials(venue, api_key, secret, kind)
    assert [(e.name, e.venue, e.kind) for e in reopened.names()] == [(name, venue, kind)]


def test_the_standard_cost_opens_its_own_file(path: Path) -> None:
    Vault.create(path, PASSPHRASE).add("alpha", "local", "key", "secret")
    assert json.loads(path.read_text())["kdf"]["cost"] == [3, 65536, 4]
    assert Vault.open(path, PASSPHRASE).secret("alpha").secret == "secret"


def test_a_composed_and_a_decomposed_accent_are_one_passphrase(path: Path) -> None:
    Vault.create(path, "caf\u00e9 au lait", cost=CHEAP)
    assert Vault.open(path, "cafe\u0301 au lait").names() == []


def test_a_child_process_opens_it_with_the_key_alone(vault: Vault, path: Path) -> None:
    assert len(vault.key_bytes()) == 32
    assert Vault.with_key(path, vault.key_bytes()).secret("alpha").secret == CANARY_SECRET


def test_keys_added_by_another_process_are_there_without_reopening(
    vault: Vault, path: Path
) -> None:
    Vault.open(path, PASSPHRASE).add("gamma", "local", "k", "s")
    assert [entry.name for entry in vault.names()] == ["alpha", "beta", "gamma"]


def test_a_removed_key_is_gone_from_the_file(vault: Vault, path: Path) -> None:
    vault.remove("alpha")
    assert [entry.name for entry in vault.names()] == ["beta"]
    with pytest.raises(UsageError, match=r"no key named 'alpha' .*known: beta"):
        vault.secret("alpha")


@pytest.mark.parametrize("bad", ["wrong horse battery", "correct horse batter", ""])
def test_a_wrong_passphrase_is_told_in_one_line(vault: Vault, path: Path, bad: str) -> None:
    with pytest.raises(UsageError) as caught:
        Vault.open(path, bad)
    assert "passphrase" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_key_is_refused(vault: Vault, path: Path) -> None:
    with pytest.raises(UsageError, match="wrong passphrase"):
        Vault.with_key(path, bytes(32))
    with pytest.raises(UsageError, match="32 bytes, not 3"):
        Vault.with_key(path, b"abc")


@pytest.mark.parametrize(
    "change", [lambda b: b ^ 1, lambda b: b ^ 0x20, lambda b: 0x39, lambda b: 0]
)
def test_every_changed_byte_is_refused(
    vault: Vault, path: Path, change: Callable[[int], int]
) -> None:
    good = path.read_bytes()
    for at, byte in enumerate(good):
        if change(byte) == byte:
            continue
        path.write_bytes(good[:at] + bytes([change(byte)]) + good[at + 1 :])
        with pytest.raises(WorkbenchError):
            Vault.open(path, PASSPHRASE)
    path.write_bytes(good)
    assert Vault.open(path, PASSPHRASE).secret("alpha").api_key == CANARY_KEY


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_cut_or_lengthened_file_is_refused(vault: Vault, path: Path, cut: int) -> None:
    good = path.read_bytes()
    for bad in (good[:cut], good + b"\n", b" " + good):
        path.write_bytes(bad)
        with pytest.raises(DataError, match="changed or damaged"):
            Vault.open(path, PASSPHRASE)


def test_a_dropped_or_put_back_entry_is_refused(vault: Vault, path: Path) -> None:
    before = json.loads(path.read_text())
    vault.remove("alpha")
    after = json.loads(path.read_text())
    for tree in (
        {**before, "entries": before["entries"][1:]},
        {**after, "entries": before["entries"]},
    ):
        path.write_text(json.dumps(tree, indent=1) + "\n")
        with pytest.raises(DataError, match="changed or damaged"):
            Vault.open(path, PASSPHRASE)


def test_swapped_boxes_do_not_open_even_under_a_good_seal(vault: Vault, path: Path) -> None:
    key = Key(vault.key_bytes())
    document = vault_file.load(path, key)
    one, two = document.boxes
    swapped = (replace(one, sealed=two.sealed), replace(two, sealed=one.sealed))
    vault_file.store(path, key, replace(document, boxes=swapped))
    for name in ("alpha", "beta"):
        with pytest.raises(DataError, match="not its own"):
            vault.secret(name)


@pytest.mark.parametrize(
    "change", [{"venue": "mainnet"}, {"name": "delta"}, {"kind": "RSA"}, {"fingerprint": "0" * 16}]
)
def test_a_box_is_bound_to_what_is_readable_beside_it(
    vault: Vault, path: Path, change: dict[str, str]
) -> None:
    key = Key(vault.key_bytes())
    document = vault_file.load(path, key)
    box = document.boxes[0]
    forged = replace(box, entry=replace(box.entry, **change))
    vault_file.store(path, key, replace(document, boxes=(forged,)))
    with pytest.raises(DataError, match="not its own"):
        vault.secret(forged.entry.name)


def test_a_forged_cost_cannot_eat_the_memory(vault: Vault, path: Path) -> None:
    tree = json.loads(path.read_text())
    tree["kdf"]["cost"] = [3, 1 << 40, 4]
    path.write_text(json.dumps(tree, indent=1) + "\n")
    with pytest.raises(DataError, match="changed or damaged"):
        Vault.open(path, PASSPHRASE)


def test_the_file_is_for_its_owner_alone_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        Vault.create(path, PASSPHRASE, cost=CHEAP).add("alpha", "local", "k", "s")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
def test_a_file_that_others_can_reach_is_refused_with_the_mend(
    vault: Vault, path: Path, mode: int
) -> None:
    path.chmod(mode)
    with pytest.raises(UsageError, match="chmod 600"):
        vault.names()


def test_a_link_is_not_followed(vault: Vault, path: Path) -> None:
    link = path.with_name("link.json")
    link.symlink_to(path)
    with pytest.raises(UsageError, match="cannot open the vault"):
        Vault.open(link, PASSPHRASE)


def test_a_failed_write_leaves_the_old_vault(
    vault: Vault, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = path.read_bytes()

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="No space left on device; it is as it was before"):
        vault.add("gamma", "local", "k", "s")
    assert path.read_bytes() == good
    assert sorted(file.name for file in path.parent.iterdir()) == [".vault.json.lock", "vault.json"]


def test_no_secret_is_in_the_file_or_in_any_repr(vault: Vault, path: Path) -> None:
    shown = path.read_text() + repr(vault) + repr(vault.secret("alpha")) + repr(vault.names())
    shown += repr(vault_file.load(path, Key(vault.key_bytes()))) + repr(Key(vault.key_bytes()))
    for canary in (CANARY_KEY, CANARY_SECRET, PASSPHRASE, repr(vault.key_bytes())):
        assert canary not in shown
        assert canary.encode().hex() not in shown


def _shown_with_locals(error: BaseException) -> str:
    """Render a traceback with the locals of every frame but the test's own."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in told.stack if frame.filename != __file__]
    assert frames
    return "".join(traceback.StackSummary.from_list(frames).format()) + str(told)


def test_no_secret_is_in_a_traceback_that_shows_locals(
    vault: Vault, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError(5, "Input/output error")

    attempts: list[Callable[[], object]] = [
        lambda: vault.add("alpha", "local", CANARY_KEY, CANARY_SECRET),
        lambda: vault.add("gamma", "local", "", CANARY_SECRET),
        lambda: vault.add("gamma", "local", CANARY_KEY, CANARY_SECRET + "\u00e9"),
        lambda: vault.add("gamma", "local", CANARY_KEY, CANARY_SECRET),
        lambda: Vault.open(path, PASSPHRASE + CANARY_SECRET),
        lambda: Vault.create(path, PASSPHRASE + CANARY_SECRET, cost=CHEAP),
        lambda: Vault.with_key(path, CANARY_SECRET.encode().ljust(32, b"x")[:32]),
    ]
    monkeypatch.setattr(os, "replace", fails)
    for attempt in attempts:
        with pytest.raises(WorkbenchError) as caught:
            attempt()
        shown = _shown_with_locals(caught.value)
        assert "vault" in shown
        assert CANARY_KEY not in shown
        assert CANARY_SECRET not in shown


@pytest.mark.parametrize("name", ["", "../x", "a b", "-a", "x" * 33, "a/b", "a\n"])
def test_a_name_that_could_not_be_a_folder_is_refused(vault: Vault, name: str) -> None:
    with pytest.raises(UsageError, match="letters, digits"):
        vault.add(name, "local", "k", "s")


def test_a_vault_is_not_made_over_another_or_with_a_short_passphrase(
    vault: Vault, path: Path
) -> None:
    with pytest.raises(UsageError, match="exists already"):
        Vault.create(path, PASSPHRASE, cost=CHEAP)
    with pytest.raises(UsageError, match="at least 8"):
        Vault.create(path.with_name("new.json"), "1234567", cost=CHEAP)
    with pytest.raises(UsageError, match="no vault at"):
        Vault.open(path.with_name("none.json"), PASSPHRASE)
