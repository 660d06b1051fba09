"""A command line from a table: each command's module is imported only when it is called.

An error of ours ends as one line on stderr and exit code 2; Ctrl-C as exit code 130.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from workbench.errors import WorkbenchError
from workbench.quick_imports import quick_imports

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command lives ("module:attribute", a function or a typer app) and its help line."""

    target: str
    help: str


class LazyGroup(TyperGroup):
    """A group of commands that are named in a table and imported when called."""

    def __init__(self, table: Mapping[str, Entry], called: str | None, *, name: str, help: str):
        super().__init__(name=name, help=help, no_args_is_help=True)
        self.table = table
        self.called = called

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Return the names, in the table's order."""
        return list(self.table)

    def get_command(  # type: ignore[override]
        self, ctx: typer.Context, cmd_name: str
    ) -> TyperCommand | TyperGroup | None:
        """Return the command that is called; for the list of all a stand-in that imports nothing."""
        entry = self.table.get(cmd_name)
        if entry is None:
            return None
        if self.called == cmd_name:
            return _load(cmd_name, entry)
        return TyperCommand(cmd_name, help=entry.help)


def run(name: str, table: Mapping[str, Entry], doc: str, arguments: list[str] | None = None) -> int:
    """Run the command line `arguments` (default: the process's own) and return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    called = next((one for one in arguments if not one.startswith("-")), None)
    group = LazyGroup(table, called, name=name, help=doc)
    try:
        result = group.main(args=arguments or ["--help"], prog_name=name, standalone_mode=False)
        if result == INTERRUPTED:  # typer turns Ctrl-C into this exit code
            print("stopped", file=sys.stderr)
        return result if isinstance(result, int) else 0
    except WorkbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.filename is None:  # no file: a fault of ours, or of a network that nobody foresaw
            raise
        print(
            f"error: {error.filename}: {error.strerror}; name another place, or see that you may "
            "write there and that the disk has room",
            file=sys.stderr,
        )
        return 2
    except (KeyboardInterrupt, typer.Abort):
        print("stopped", file=sys.stderr)
        return INTERRUPTED
    except typer.Exit as done:
        return done.exit_code
    except Exception as error:
        # typer brings its own copy of click, so a bad call is known by what it can do, not by class
        if not hasattr(error, "format_message"):
            raise
        if message := error.format_message():  # empty where the help was shown instead
            print(f"error: {message.rstrip('.')}; see `{name} --help`", file=sys.stderr)
        return 2


def _load(name: str, entry: Entry) -> TyperCommand | TyperGroup:
    module, _, attribute = entry.target.partition(":")
    with quick_imports():
        found = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        group = get_group(found)
        group.name = name
        return group
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(name=name, help=found.__doc__)(found)
    command = get_command(app)
    assert isinstance(command, TyperCommand)
    return command
