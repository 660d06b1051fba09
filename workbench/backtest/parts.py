"""Results that arrive in parts: each is a finished file, so that a killed run goes on where it was.

While it runs, `OUT.parts/` holds `plan.json` (what is being run, as a hash) and one parquet file a
part, each written whole or not at all. At the end they are joined into OUT, in order, without ever
being in memory together, and the folder goes. OUT carries the plan's hash too, and both name the
columns that were asked for beside the usual ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.data.atomic import replace_text
from workbench.errors import DataError, UsageError

if TYPE_CHECKING:
    import polars as pl

PLAN_KEY = "workbench_plan"
COLUMNS_KEY = "workbench_columns"


@dataclass(frozen=True, slots=True)
class Parts:
    """The `count` parts of one result file; `plan` is the hash of everything that they depend on."""

    out: Path
    plan: str
    count: int
    columns: tuple[str, ...] = ()  # those that were asked for beside the usual ones

    @contextmanager
    def writing(self, *, resume: bool) -> Iterator[list[int]]:
        """Hand out the numbers of the parts that are still to be put; join all of them at the end.

        With `resume` those that an earlier run finished are not among them; without, it begins anew.
        Raises UsageError where parts or rows of another run lie there and `resume` is asked for, or
        `out` lies in no folder.
        """
        if not self.out.parent.is_dir():
            raise UsageError(
                f"there is no folder {self.out.parent.name!r} for {self.out.name}; make it first"
            )
        if resume and self._is_joined():
            self._clear()  # the parts, where the run was killed right after joining
            yield []
            return
        self._begin(resume=resume)
        yield [number for number in range(self.count) if not self._file(number).exists()]
        self._join()

    def put(self, number: int, frame: pl.DataFrame) -> None:
        """Write one part, whole or not at all."""
        draft = self._file(number).with_suffix(".writing")
        try:
            frame.write_parquet(draft)
            draft.replace(self._file(number))
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise DataError(self._unwritten(f"part {number} of {self.out.name}", error)) from None

    @property
    def folder(self) -> Path:
        """Return the folder of the parts."""
        return self.out.with_name(self.out.name + ".parts")

    def _begin(self, *, resume: bool) -> None:
        if not resume:
            self._clear()
        elif self._note.exists():
            self._refuse_another(f"{self.folder.name} holds parts", *self._noted())
        elif self.out.exists():
            self._refuse_another(f"{self.out.name} holds rows", *self._carried())
        self.folder.mkdir(exist_ok=True)
        replace_text(self._note, json.dumps({"plan": self.plan, "columns": self._columns}))

    def _refuse_another(self, what: str, plan: str, columns: str) -> None:
        if plan == self.plan:
            return
        other = "other candles, code, parameters or costs"
        if columns != self._columns:
            other = f"with columns={columns!r}, this one asks for {self._columns!r}"
        raise UsageError(
            f"{what} of another run ({other}); run without --resume to begin anew, or name another --out"
        )

    def _is_joined(self) -> bool:
        return self._carried()[0] == self.plan

    def _join(self) -> None:
        import polars as pl

        draft = self.out.with_name(self.out.name + ".writing")
        files = [self._file(number) for number in range(self.count)]
        try:
            told = {PLAN_KEY: self.plan, COLUMNS_KEY: self._columns}
            pl.scan_parquet(files).sink_parquet(draft, metadata=told)
            draft.replace(self.out)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise DataError(self._unwritten(self.out.name, error)) from None
        self._clear()

    def _unwritten(self, what: str, error: OSError) -> str:
        return (
            f"{what} could not be written: {error.strerror or error}; mend that and run again with "
            "--resume, the finished parts are kept"
        )

    @property
    def _note(self) -> Path:
        return self.folder / "plan.json"

    @property
    def _columns(self) -> str:
        return ",".join(self.columns)

    def _noted(self) -> tuple[str, str]:
        """Return plan and columns of the parts that lie there; empty where the note is none."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            return str(note["plan"]), str(note.get("columns", ""))
        except (ValueError, KeyError, TypeError):
            return "", self._columns

    def _carried(self) -> tuple[str, str]:
        """Return plan and columns of the finished file; empty where there is none of the workbench's."""
        import polars as pl

        try:
            told = pl.read_parquet_metadata(self.out)
        except (OSError, pl.exceptions.PolarsError):
            told = {}
        return told.get(PLAN_KEY, ""), told.get(COLUMNS_KEY, self._columns)

    def _file(self, number: int) -> Path:
        return self.folder / f"part-{number:06d}.parquet"

    def _clear(self) -> None:
        if not self.folder.exists():
            return
        for path in (*self.folder.glob("part-*"), self._note):
            path.unlink(missing_ok=True)
        try:
            self.folder.rmdir()
        except OSError:
            raise UsageError(
                f"{self.folder.name} holds files that are not the workbench's; name another --out"
            ) from None
