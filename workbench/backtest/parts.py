"""Results that arrive in parts: each is a finished file, so that a killed run goes on where it was.

While it runs, `OUT.parts/` holds `plan.json` (what is being run, as a hash) and one parquet file a
part, each written whole or not at all. At the end they are joined into OUT, in order, without ever
being in memory together, and the folder goes. OUT carries the plan's hash too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import DataError, UsageError

if TYPE_CHECKING:
    import polars as pl

PLAN_KEY = "workbench_plan"


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one result file; `plan` is the hash of everything that it depends on."""

    out: Path
    plan: str

    @classmethod
    def open(cls, out: Path, plan: str, *, resume: bool) -> Parts:
        """Begin a result, or go on with one.

        Raises UsageError where parts of another run lie there and `resume` is asked for, or `out` lies
        in no folder.
        """
        parts = cls(out, plan)
        if not out.parent.is_dir():
            raise UsageError(
                f"there is no folder {out.parent.name!r} for {out.name}; make it first"
            )
        if not resume:
            parts._clear()
        elif parts._note.exists() and parts._planned() != plan:
            raise UsageError(
                f"{parts.folder.name} holds parts of another run (other candles, code, parameters or "
                "costs); run without --resume to begin anew, or name another --out"
            )
        parts.folder.mkdir(exist_ok=True)
        parts._note.write_text(json.dumps({"plan": plan}), encoding="utf-8")
        return parts

    @staticmethod
    def is_done(out: Path, plan: str) -> bool:
        """Return whether `out` is the whole result of that plan."""
        import polars as pl

        if not out.exists():
            return False
        try:
            return pl.read_parquet_metadata(out).get(PLAN_KEY) == plan
        except (OSError, pl.exceptions.PolarsError):
            return False

    @property
    def folder(self) -> Path:
        """Return the folder of the parts."""
        return self.out.with_name(self.out.name + ".parts")

    def has(self, number: int) -> bool:
        """Return whether this part is finished."""
        return self._file(number).exists()

    def put(self, number: int, frame: pl.DataFrame) -> None:
        """Write one part, whole or not at all."""
        draft = self._file(number).with_suffix(".writing")
        try:
            frame.write_parquet(draft)
            draft.replace(self._file(number))
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise DataError(
                f"part {number} of {self.out.name} could not be written: {error.strerror or error}; "
                "mend that and run again with --resume"
            ) from None

    def join(self, count: int) -> Path:
        """Join parts 0 to count - 1 into the result file and remove them."""
        import polars as pl

        draft = self.out.with_name(self.out.name + ".writing")
        files = [self._file(number) for number in range(count)]
        pl.scan_parquet(files).sink_parquet(draft, metadata={PLAN_KEY: self.plan})
        draft.replace(self.out)
        self._clear()
        return self.out

    @property
    def _note(self) -> Path:
        return self.folder / "plan.json"

    def _planned(self) -> str:
        try:
            return str(json.loads(self._note.read_text(encoding="utf-8"))["plan"])
        except (ValueError, KeyError):
            return ""

    def _file(self, number: int) -> Path:
        return self.folder / f"part-{number:06d}.parquet"

    def _clear(self) -> None:
        if not self.folder.exists():
            return
        for path in (*self.folder.glob("part-*"), self._note):
            path.unlink(missing_ok=True)
        self.folder.rmdir()
