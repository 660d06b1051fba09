"""The schedules: a versioned file under WORKBENCH_HOME, whole or not there; an unknown key is an error."""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    model_validator,
)

from workbench.data.atomic import replace_text
from workbench.errors import DataError, UsageError
from workbench.schedule.timing import (
    Cron,
    Every,
    Timing,
    demand_one,
    midnight,
    parse_clock,
    write_duration,
)

VERSION: Final = 1
SHORTEST: Final = 60  # seconds between two moments, as in crontab
NAME_RULE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
Value = StrictBool | StrictInt | StrictFloat | StrictStr | None
Seconds = Annotated[int, Field(ge=1)]


class Frozen(BaseModel):
    """A value that never changes and knows all its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Schedule(Frozen):
    """One report on time: what, when, where, and how long it may take and be late."""

    name: str
    report: str
    parameters: dict[str, Value] = Field(default_factory=dict)
    cron: str | None = None
    every_seconds: Seconds | None = None
    at: str | None = None  # of the day it was added, UTC; `every` counts from there
    grace_seconds: Seconds
    timeout_seconds: Seconds
    project: str  # the folder whose notebooks/reports/ holds the report
    out: str
    data: str | None = None  # WORKBENCH_DATA as it was when the schedule was added
    added: AwareDatetime

    @model_validator(mode="after")
    def _checked(self) -> Schedule:
        try:
            checked_name(self.name)
            assert self.timing
        except UsageError as error:
            raise ValueError(str(error)) from None
        return self

    @cached_property
    def timing(self) -> Timing:
        """Return when it is due; UsageError where that is not said, or said twice."""
        demand_one(self.cron, self.every_seconds, self.at)
        if self.cron is not None:
            return Cron(self.cron)
        assert self.every_seconds is not None
        if self.every_seconds < SHORTEST:
            raise UsageError(f"--every {self.every_seconds}s is too often; 1m is the least")
        since = parse_clock(self.at) if self.at else timedelta()
        return Every(timedelta(seconds=self.every_seconds), midnight(self.added) + since)

    @property
    def said(self) -> str:
        """Return in words when it is due."""
        if self.cron is not None:
            return self.cron
        assert self.every_seconds is not None
        return f"every {write_duration(self.every_seconds)}" + (f" at {self.at}" if self.at else "")


class _File(Frozen):
    version: Literal[1]
    schedules: list[Schedule]


def checked_name(name: str) -> str:
    """Return a plain name as it is; UsageError for any other."""
    if not NAME_RULE.fullmatch(name):
        raise UsageError(
            f"schedule name {name!r} is not plain; use a-z, 0-9, - and _, at most 64 of them"
        )
    return name


def new_schedule(**fields: object) -> Schedule:
    """Return a schedule of these fields; UsageError where one of them cannot be."""
    try:
        return Schedule.model_validate(fields)
    except ValidationError as error:
        raise UsageError(_first(error)) from None


class Book:
    """The schedules of one folder, each change in one step."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.path = folder / "schedules.json"
        self._seen: tuple[int, int, int] | None = None
        self._held: list[Schedule] = []

    def read(self) -> list[Schedule]:
        """Return the schedules in the order of their names; DataError where the file is off.

        A file that has not changed since it was read is not read again: the loop asks often.
        """
        try:
            status = self.path.stat()
            seen = (status.st_ino, status.st_mtime_ns, status.st_size)
            if seen != self._seen:
                self._held = _File.model_validate_json(self.path.read_bytes()).schedules
                self._seen = seen
            return list(self._held)
        except FileNotFoundError:
            return []
        except ValidationError as error:
            raise DataError(
                f"{self.path} is no file of schedules ({_first(error)}); mend that, or move the file "
                "away and add the schedules again"
            ) from None

    def add(self, schedule: Schedule) -> None:
        """Add a schedule; UsageError where its name is taken."""
        with self._changing() as schedules:
            if any(one.name == schedule.name for one in schedules):
                raise UsageError(
                    f"schedule {schedule.name!r} is there already; "
                    f"`workbench schedule remove {schedule.name}` first, or take another name"
                )
            schedules.append(schedule)

    def remove(self, name: str) -> Schedule:
        """Remove a schedule and return it; UsageError where there is none of that name."""
        find(self.read(), name)  # before anything is made for it
        with self._changing() as schedules:
            found = find(schedules, name)
            schedules.remove(found)
        return found

    @contextmanager
    def _changing(self) -> Iterator[list[Schedule]]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / "schedules.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two changes at once take turns
            schedules = self.read()
            yield schedules
            schedules.sort(key=lambda one: one.name)
            file = _File(version=VERSION, schedules=schedules)
            replace_text(self.path, file.model_dump_json(indent=1) + "\n")


def find(schedules: list[Schedule], name: str) -> Schedule:
    """Return the schedule of that name; UsageError names those that there are."""
    for one in schedules:
        if one.name == name:
            return one
    known = (
        ", ".join(one.name for one in schedules) or "none; add one with `workbench schedule add`"
    )
    raise UsageError(f"no schedule is named {name!r}; there is {known}")


def _first(error: ValidationError) -> str:
    one = error.errors(include_url=False)[0]
    said = "unknown key" if one["type"] == "extra_forbidden" else one["msg"]
    where = ".".join(str(part) for part in one["loc"])
    return (f"{where}: " if where else "") + said.removeprefix("Value error, ")
