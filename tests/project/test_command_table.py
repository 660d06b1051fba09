"""A command that fails says so in one line, whatever it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.command_table import Entry, run


def write_nowhere() -> None:
    """Write where no folder is."""
    Path("/proc/nowhere/file").write_text("x")


def lose_the_peer() -> None:
    """Lose a connection."""
    raise ConnectionResetError("peer is gone")


TABLE = {
    "write": Entry(f"{__name__}:write_nowhere", "Write."),
    "lose": Entry(f"{__name__}:lose_the_peer", "Lose."),
}


def test_a_file_that_cannot_be_written_is_one_line_with_the_mend(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("workbench", TABLE, "", ["write"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "error: /proc/nowhere/file: No such file or directory; name another place, or see that you "
        "may write there and that the disk has room\n"
    )


def test_a_fault_without_a_file_is_not_hidden() -> None:
    with pytest.raises(ConnectionResetError, match="peer is gone"):
        run("workbench", TABLE, "", ["lose"])
