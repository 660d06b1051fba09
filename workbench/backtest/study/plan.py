"""What a study runs: symbols, intervals, windows, strategies with their parameter sets, costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeAlias, cast

import numpy as np

from workbench.backtest.detail_columns import detail_names
from workbench.backtest.exits import joined
from workbench.backtest.grids import Grid, valid_mask
from workbench.backtest.setting import Costs
from workbench.data.times import When, iso, window_ms
from workbench.errors import UsageError
from workbench.execution.exits import ExitsForm, all_exits
from workbench.market.timeframes import DAY_MS, parse_timeframe
from workbench.strategies.spec import Axis, Number, Spec

ParameterSet: TypeAlias = Mapping[str, Number] | Sequence[Number]
ParameterForm: TypeAlias = Mapping[str, Axis] | Iterable[ParameterSet] | None
WindowForm: TypeAlias = "Window | Mapping[str, When] | Sequence[When | None] | None"

MOST_TESTS = 50_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time by name: [start, end) in milliseconds, None for as far as there are candles."""

    name: str
    start_ms: int | None
    end_ms: int | None

    @classmethod
    def of(cls, form: WindowForm) -> Window:
        """Return a window from (start, end), or from days before an end, or from nothing: all.

        Mappings take `start` and `end`, or `days` and `end`, and a `name`. Raises UsageError for others.
        """
        if isinstance(form, Window):
            return form
        if form is None:
            return cls("all", None, None)
        if isinstance(form, Mapping):
            return cls._of_mapping(dict(form))
        if isinstance(form, str) or len(form) != 2:
            raise UsageError(f'window {form!r} is not (start, end); write ("2024-10-01", None)')
        start, end = window_ms(*form)
        return cls(_said(start, end), start, end)

    @classmethod
    def _of_mapping(cls, form: dict[str, When]) -> Window:
        unknown = set(form) - {"name", "start", "end", "days"}
        if unknown:
            raise UsageError(
                f"a window has no {sorted(unknown)[0]!r}; it takes name, start, end and days"
            )
        name, days = form.pop("name", None), form.pop("days", None)
        start, end = window_ms(form.get("start"), form.get("end"))
        if days is not None:
            if isinstance(days, bool | str | date | datetime) or days <= 0 or end is None or start:
                raise UsageError(
                    f"a window of days={days} needs days above 0, an end, and no start"
                )
            start, name = end - int(days * DAY_MS), name or f"{days}d"
        return cls(str(name or _said(start, end)), start, end)


@dataclass(frozen=True, eq=False)
class ParameterSets:
    """One strategy with its valid parameter records, and how many others were dropped."""

    spec: Spec
    params: np.ndarray
    invalid: int

    @classmethod
    def of(cls, spec: Spec, form: ParameterForm, exits: ExitsForm = None) -> ParameterSets:
        """Return a grid from axes by name, sets from a list (by name, or in order), or the defaults.

        Each with every combination of the exits, where there are any.
        Raises UsageError for a value that the strategy does not take, or where no set is valid.
        """
        if form is None or isinstance(form, Mapping):
            grid = Grid.of(spec, cast("Mapping[str, Axis]", form or {}))
            params = grid.part(0, len(grid))
        else:
            sets = [_set_of(spec, one) for one in form]
            if not sets:
                raise UsageError(f"{spec.name}: the list of parameter sets is empty; give one")
            params = np.concatenate(sets)
        if exits:
            params = joined(params, all_exits(exits))
        ok = valid_mask(spec, params)
        if not ok.any():
            raise UsageError(
                f"none of the {len(params):,} sets of {spec.name} is valid; {spec.title}"
            )
        return cls(spec, np.ascontiguousarray(params[ok]), int((~ok).sum()))


@dataclass(frozen=True, eq=False)
class StudyPlan:
    """A whole study, checked: every name is known and every parameter set is valid."""

    symbols: tuple[str, ...]
    intervals: tuple[str, ...]
    windows: tuple[Window, ...]
    sets: tuple[ParameterSets, ...]
    costs: Costs
    all_history: bool = False
    title: str = "study"
    columns: tuple[str, ...] = ()  # of DETAIL_COLUMNS

    @classmethod
    def of(
        cls,
        *,
        symbols: Iterable[str],
        intervals: Iterable[str],
        windows: Iterable[WindowForm] | None,
        strategy: Spec | Iterable[Spec],
        params: ParameterForm | Mapping[str, ParameterForm] = None,
        costs: Costs | None = None,
        exits: ExitsForm = None,
        all_history: bool = False,
        title: str = "study",
        columns: str | Iterable[str] = (),
    ) -> StudyPlan:
        """Check what a caller asks for and return it as a plan; UsageError says what is wrong.

        With one strategy `params` are its own; with several, a mapping from their names.
        """
        specs = [strategy] if isinstance(strategy, Spec | str) else list(strategy)
        for one in specs:
            if not isinstance(one, Spec):
                raise UsageError(
                    f"strategy {one!r} is none; give wb.strategies.macd or wb.strategies.load(NAME)"
                )
        plan = cls(
            symbols=_each(symbols, "symbols"),
            intervals=tuple(str(parse_timeframe(one)) for one in _each(intervals, "intervals")),
            windows=tuple(Window.of(one) for one in (windows or (None,))),
            sets=tuple(ParameterSets.of(spec, _own(params, spec, specs), exits) for spec in specs),
            costs=costs or Costs(),
            all_history=all_history,
            title=title,
            columns=detail_names(columns),
        )
        names = [window.name for window in plan.windows]
        for kind, values in (("window", names), ("strategy", [one.name for one in specs])):
            if len(set(values)) < len(values):
                raise UsageError(f"a {kind} is in the study twice: {', '.join(values)}")
        if not specs or plan.tests > MOST_TESTS:
            raise UsageError(
                f"the study has {plan.tests:,} backtests; it takes 1 to {MOST_TESTS:,}"
            )
        return plan

    @property
    def series_windows(self) -> int:
        """Return how many windows there are over all series."""
        return len(self.symbols) * len(self.intervals) * len(self.windows)

    @property
    def tests(self) -> int:
        """Return how many backtests the study has."""
        return self.series_windows * sum(len(one.params) for one in self.sets)


def _each(values: Iterable[str], name: str) -> tuple[str, ...]:
    if isinstance(values, str):
        raise UsageError(f'{name}={values!r} is one text; give a list: {name}=["{values}"]')
    listed = tuple(dict.fromkeys(values))
    if not listed:
        raise UsageError(f"{name} is empty; give at least one")
    return listed


def _own(
    params: ParameterForm | Mapping[str, ParameterForm], spec: Spec, specs: Sequence[Spec]
) -> ParameterForm:
    by_name = isinstance(params, Mapping) and set(params) <= {one.name for one in specs}
    if params and isinstance(params, Mapping) and by_name:
        return cast("Mapping[str, ParameterForm]", params).get(spec.name)
    if params is not None and len(specs) > 1:
        raise UsageError(
            f'with {len(specs)} strategies params go by their names: {{"{specs[0].name}": [...]}}'
        )
    return cast(ParameterForm, params)


def _set_of(spec: Spec, one: ParameterSet) -> np.ndarray:
    if isinstance(one, Mapping):
        return spec.grid(dict(one))
    names = [parameter.name for parameter in spec.parameters]
    if isinstance(one, str) or len(one) != len(names):
        raise UsageError(f"{spec.name} takes sets of ({', '.join(names)}), not {one!r}")
    return spec.grid(dict(zip(names, one, strict=True)))


def _said(start_ms: int | None, end_ms: int | None) -> str:
    parts = ["" if one is None else iso(one).replace("T00:00Z", "") for one in (start_ms, end_ms)]
    return "..".join(parts) if any(parts) else "all"
