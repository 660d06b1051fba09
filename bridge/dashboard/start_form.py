"""The form that starts an instance, built from the parameter ranges that strategies declare.

The page sends what was typed as text; it is read here, with the same rules the bridge applies, so
that a slip is answered at once and in one line. The bridge has the last word.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypedDict

import anywidget
import traitlets

from bridge.dashboard.static_files import script, style_sheet
from bridge.dashboard.wording import base_asset
from bridge.home import NAME
from workbench.errors import UsageError
from workbench.market.instruments import KNOWN
from workbench.market.timeframes import TIMEFRAMES


class Parameter(TypedDict):
    """One parameter of a strategy, as GET /v1/strategies describes it."""

    name: str
    kind: str
    low: float
    high: float
    step: float
    default: float
    doc: str


class StrategySpec(TypedDict):
    """One strategy, as GET /v1/strategies describes it."""

    name: str
    title: str
    source: str
    sha: str
    parameters: list[Parameter]


@dataclass(frozen=True, slots=True)
class StartRequest:
    """What the bridge is asked to start."""

    name: str
    account: str
    strategy: str
    params: Mapping[str, int | float]
    symbol: str
    interval: str
    capital: float
    exits: str = ""
    guards: str = ""


class StartForm(anywidget.AnyWidget):
    """Symbol, timeframe, strategy with its parameters, protective exits, guards, capital, account and name."""

    _esm: ClassVar[str] = script("form.js")
    _css: ClassVar[str] = style_sheet()

    specs = traitlets.List(traitlets.Dict()).tag(sync=True)
    symbols = traitlets.List(list(KNOWN)).tag(sync=True)
    intervals = traitlets.List(list(TIMEFRAMES)).tag(sync=True)
    accounts = traitlets.List(traitlets.Dict()).tag(sync=True)
    values = traitlets.Dict({"symbol": KNOWN[0], "interval": "1m", "capital": "1000"}).tag(
        sync=True
    )
    suggested = traitlets.Unicode("", help="the name taken when none is typed").tag(sync=True)
    error = traitlets.Unicode("").tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)

    def __init__(self, **traits: object) -> None:
        super().__init__(**traits)
        self._taken: frozenset[str] = frozenset()
        self.observe(self._suggest_for_values, "values")

    def on_start(self, act: Callable[[StartRequest], None]) -> None:
        """Call `act(request)` for a form that is filled in rightly; otherwise say what is wrong."""

        def heard(_widget: object, content: Mapping[str, object], _buffers: object) -> None:
            fields = content.get("fields")
            if content.get("kind") != "start" or self.busy or not isinstance(fields, dict):
                return
            try:
                request = read_request(fields, self.specs, suggested=self.suggested)
            except UsageError as wrong:
                self.error = str(wrong)
                return
            self.error = ""
            self.busy = True
            act(request)

        self.on_msg(heard)

    def offer(self, specs: Sequence[StrategySpec]) -> None:
        """Offer these strategies."""
        self.specs = [dict(one) for one in specs]

    def show(self, accounts: Iterable[Mapping[str, object]], taken: Iterable[str]) -> None:
        """Offer these accounts, and a name that is not among those taken."""
        self.accounts = [
            {"value": one["name"], "label": f"{one['name']} · {one['venue']}"} for one in accounts
        ]
        self._taken = frozenset(taken)
        self._suggest_for_values()

    def answered(self, problem: str) -> None:
        """Take the bridge's answer: a problem in one line, or none and the name is used up."""
        with self.hold_sync():
            self.busy = False
            self.error = " ".join(problem.split())
            if not problem:
                self.values = {k: v for k, v in self.values.items() if k != "name"}

    def _suggest_for_values(self, _change: object = None) -> None:
        strategy = self.values.get("strategy") or (self.specs[0]["name"] if self.specs else "")
        if strategy:
            self.suggested = suggest_name(strategy, str(self.values.get("symbol")), self._taken)


def suggest_name(strategy: str, symbol: str, taken: Iterable[str]) -> str:
    """Return a free name such as macd-btc-1."""
    stem = f"{strategy}-{base_asset(symbol)}".lower().replace("_", "-")
    used = set(taken)
    return next(name for n in range(1, len(used) + 2) if (name := f"{stem}-{n}") not in used)


def read_request(
    fields: Mapping[str, object], specs: Sequence[Mapping[str, object]], *, suggested: str
) -> StartRequest:
    """Return the request that the typed fields mean; UsageError in one line where they mean none."""
    name = str(fields.get("name") or "").strip() or suggested
    if not NAME.fullmatch(name):
        raise UsageError(
            f"name {name!r}: use 1 to 32 of letters, digits, - and _, beginning with a letter or digit"
        )
    strategy = str(fields.get("strategy") or "")
    spec = next((one for one in specs if one["name"] == strategy), None)
    if spec is None:
        raise UsageError(f"strategy {strategy!r} is not offered; choose one from the list")
    account = str(fields.get("account") or "")
    if not account:
        raise UsageError("no account: add one with `bridge keys add`, then start the bridge again")
    capital = _number(fields.get("capital"), "capital")
    if capital <= 0:
        raise UsageError(f"capital {capital:g} must be above 0")
    typed = fields.get("params")
    return StartRequest(
        name=name,
        account=account,
        strategy=strategy,
        params=_parameters(spec, typed if isinstance(typed, Mapping) else {}),
        symbol=_one_of(str(fields.get("symbol") or ""), KNOWN, "symbol"),
        interval=_one_of(str(fields.get("interval") or ""), TIMEFRAMES, "timeframe"),
        capital=capital,
        exits=str(fields.get("exits") or "").strip(),
        guards=str(fields.get("guards") or "").strip(),
    )


def _parameters(spec: Mapping[str, object], typed: Mapping[str, object]) -> dict[str, int | float]:
    declared = spec["parameters"]
    assert isinstance(declared, list)
    values: dict[str, int | float] = {}
    for one in declared:
        value = _number(typed.get(one["name"], one["default"]), one["name"])
        if one["kind"] == "int":
            if value != int(value):
                raise UsageError(f"{one['name']} {value:g} must be a whole number")
            value = int(value)
        if not one["low"] <= value <= one["high"]:
            raise UsageError(
                f"{one['name']} {value:g} lies outside {one['low']:g} to {one['high']:g}"
            )
        values[one["name"]] = value
    return values


def _number(typed: object, name: str) -> float:
    text = str(typed if typed is not None else "").strip().replace(",", "").replace(" ", "")
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"{name} {str(typed)!r} is not a number") from None
    if not math.isfinite(value):
        raise UsageError(f"{name} {text} is not a finite number")
    return value


def _one_of(value: str, known: Iterable[str], name: str) -> str:
    if value not in known:
        raise UsageError(f"{name} {value!r} is not known; use one of {' '.join(known)}")
    return value
