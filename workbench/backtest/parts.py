"""Results that arrive in parts: each is a finished file, so that a killed run goes on where it was.

While it runs, `OUT.parts/` holds `plan.json` (what is being run, as a hash) and one parquet file a
part, each written whole or not at all. At the end they are joined into OUT, in order, without ever
being in memory together, and the folder goes. OUT carries the plan's hash too.
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


@dataclass(frozen=True, slots=True)
class Parts:
    """The `count` parts of one result file; `plan` is the hash of everything that they depend on."""

    out: Path
    plan: str
    count: int

    @contextmanager
    def writing(self, *, resume: bool) -> Iterator[list[int]]:
        """Hand out the numbers of the parts that are still to be put; join all of them at the end.

        With `resume` those that an earlier run finished are not among them; without, it begins anew.
        Raises UsageError where parts of another run lie there and `resume` is asked for, or `out`
        lies in no folder.
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
        elif self._note.exists() and self._planned() != self.plan:
            raise UsageError(
                f"{self.folder.name} holds parts of another run (other candles, code, parameters or "
                "costs); run without --resume to begin anew, or name another --out"
            )
        self.folder.mkdir(exist_ok=True)
        replace_text(self._note, json.dumps({"plan": self.plan}))

    def _is_joined(self) -> bool:
        import polars as pl

        try:
            return pl.read_parquet_metadata(self.out).get(PLAN_KEY) == self.plan
        except (OSError, pl.exceptions.PolarsError):
            return False

    def _join(self) -> None:
        import polars as pl

        draft = self.out.with_name(self.out.name + ".writing")
        files = [self._file(number) for number in range(self.count)]
        try:
            pl.scan_parquet(files).sink_parquet(draft, metadata={PLAN_KEY: self.plan})
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
        try:
            self.folder.rmdir()
        except OSError:
            raise UsageError(
                f"{self.folder.name} holds files that are not the workbench's; name another --out"
            ) from None
