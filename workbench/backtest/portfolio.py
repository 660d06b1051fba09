"""A portfolio: several instances on one account, walked through one market in the order of time.

Each instance has its series, strategy, parameters and capital; together they own the account. Where
candles close at the same time, all are marked before any decides, and the instances decide in the
order in which they were named. Where candles open at the same time, orders are sent in that order too.
Instances of one pair share its candle's volume and never trade with each other.

`AccountCaps` are the account's: an entry that would break one is refused, its target is spent, an exit
is never refused. They hold back entries by target; the rungs of a ladder have reserved their cash when
they were laid and are not asked. Days are market time in UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby

import numpy as np

from workbench.backtest.event.driven import exchange_rules, result_of
from workbench.backtest.event.instance import EventInstance
from workbench.backtest.event.market import EventMarket, pair_of
from workbench.backtest.event.market_model import AT_ONCE, MarketModel
from workbench.backtest.portfolio_result import PortfolioResult
from workbench.backtest.recording import LEDGER, Gathering, Recorder, counted
from workbench.backtest.results import BacktestResult
from workbench.backtest.setting import Costs
from workbench.core.costs import SCALE
from workbench.errors import UsageError
from workbench.execution.rebalance import MarketBuy
from workbench.market.candles import Candles
from workbench.market.instruments import Instrument
from workbench.market.timeframes import DAY_MS
from workbench.strategies.spec import Number, Spec


@dataclass(frozen=True, eq=False)
class Part:
    """One instance of a portfolio: what it trades, how, and with how much capital in quote."""

    name: str
    candles: Candles
    spec: Spec
    capital: float
    params: Mapping[str, Number] = field(default_factory=dict)
    exits: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.capital) and self.capital > 0.0):
            raise UsageError(f"{self.name}: capital={self.capital} must be above 0")


@dataclass(frozen=True, slots=True)
class AccountCaps:
    """What the account as a whole allows an entry; None for no cap.

    `max_exposure` is the share of the account's equity that all positions may be worth, with the entry;
    `max_positions` how many instances may hold one; `max_daily_loss` and `max_drawdown` are shares of
    the equity at the day's start and of its highest close, after which nothing is entered for the day,
    or ever. Raises UsageError for a value out of range.
    """

    max_exposure: float | None = None
    max_positions: int | None = None
    max_daily_loss: float | None = None
    max_drawdown: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_exposure", "max_daily_loss", "max_drawdown"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value <= 1.0:
                raise UsageError(f"{name}={value} is out of range; it takes above 0, at most 1")
        count = self.max_positions
        if count is not None and (count != int(count) or count < 1):
            raise UsageError(f"max_positions={count} is out of range; it takes 1 or more")


def run_portfolio(
    parts: Sequence[Part],
    *,
    costs: Costs | None = None,
    model: MarketModel = AT_ONCE,
    caps: AccountCaps | None = None,
    trials: Recorder = LEDGER,
) -> PortfolioResult:
    """Run all parts on one account; `costs.cash` is what the account has, at least their capital.

    Each part is a trial of its strategy; caps, and a pair that is shared, make it another one.
    Raises UsageError for names that are taken twice, more capital than cash, other quote assets or other
    filters than the exchange's, DataError for candles that cannot be traded.
    """
    costs = costs or Costs(filters="exchange", cash=sum(part.capital for part in parts))
    rules, notes = _rules(parts, costs)
    _demand_budget(parts, costs)
    books = _books(parts, rules)
    trials.ready()
    market = EventMarket({one.symbol: one for one in books.values()}, costs, model)
    account = _Account(market, caps or AccountCaps(), spare=costs.cash - _capital(parts))
    for part in parts:
        account.add(part, books[part.name])
    for time_ms, step, due in _moments(account.instances):
        if step == "close":
            account.close(time_ms, due)
            continue
        for one, t in due:
            one.begin(t)
        for one, t in due:
            one.trade(t)
    market.ledger.check_conservation()
    results = {
        part.name: result_of(
            one, part.candles, replace(costs, cash=part.capital), notes=notes[part.name]
        )
        for part, one in zip(parts, account.instances, strict=True)
    }
    uncounted = _counted(results, account, rules, model, trials)
    refusals = [(one.name, *said) for one in account.instances for said in one.refusals]
    return PortfolioResult.build(
        results, costs=costs, spare=account.spare,
        steps={name: one.step_e8 / SCALE for name, one in rules.items()},
        refusals=refusals, notes=(*model.said(), *uncounted),
    )  # fmt: skip


def _counted(
    results: Mapping[str, BacktestResult],
    account: _Account,
    rules: Mapping[str, Instrument],
    model: MarketModel,
    trials: Recorder,
) -> tuple[str, ...]:
    """Record every part; return what must be said where that could not be."""
    symbols = [one.symbol for one in rules.values()]
    with Gathering(trials) as gathering:
        for one in account.instances:
            shared = symbols.count(rules[one.name].symbol) > 1
            others = [repr(what) for what, is_other in (
                (model, model != AT_ONCE), (account.caps, account.caps != AccountCaps()), ("shared pair", shared),
            ) if is_other]  # fmt: skip
            counted(
                results[one.name],
                gathering,
                rules=rules[one.name],
                warm=one.warm,
                model=" ".join(others),
            )
    return (gathering.uncounted,) if gathering.uncounted else ()


class _Account:
    """The instances together: what they are worth now, and whether one may enter."""

    def __init__(self, market: EventMarket, caps: AccountCaps, *, spare: float) -> None:
        self.market, self.caps, self.spare = market, caps, spare
        self.instances: list[EventInstance] = []
        self._marks: dict[str, float] = {}
        self._day = -1
        self._day_equity = self._last_equity = self._peak = 0.0
        self._drawn_down = False

    def add(self, part: Part, rules: Instrument) -> None:
        """Open one instance."""
        self.instances.append(
            EventInstance(
                part.name, _renamed(part.candles, rules.symbol), part.spec,
                part.spec.params(**part.params), rules, self.market, capital=part.capital,
                allows=partial(self._why_not, part.name), exits=part.exits,
            )
        )  # fmt: skip
        self._peak = self._last_equity = self.equity()

    def close(self, time_ms: int, due: Sequence[tuple[EventInstance, int]]) -> None:
        """Mark every candle that closes now, then let each instance decide."""
        day = (time_ms - 1) // DAY_MS
        if day != self._day:
            self._day, self._day_equity = day, self._last_equity
        for one, t in due:
            self._marks[one.name] = float(one.candles.records["close"][t])
        self._last_equity = equity = self.equity()
        self._peak = max(self._peak, equity)
        worst = self.caps.max_drawdown
        self._drawn_down |= worst is not None and equity <= self._peak * (1.0 - worst)
        for one, t in due:
            one.close(t)

    def equity(self) -> float:
        """Return what the account is worth at the last closes."""
        return self.spare + sum(self._worth(one)[0] for one in self.instances)

    def _worth(self, one: EventInstance) -> tuple[float, float]:
        """Return an instance's equity and the value of its position."""
        account = self.market.ledger.account(one.name)
        value = account.quantity * self._marks.get(one.name, 0.0)
        return account.cash + value, value

    def _why_not(self, name: str, order: MarketBuy) -> str:
        """Return why this entry is refused, nothing where it is allowed."""
        caps, equity = self.caps, self.equity()
        if self._drawn_down:
            return f"the account fell by {caps.max_drawdown:.2%} from its peak: no entry any more"
        floor = self._day_equity * (1.0 - (caps.max_daily_loss or 1.0))
        if caps.max_daily_loss is not None and equity <= floor:
            return f"the account lost {caps.max_daily_loss:.2%} today: no entry until tomorrow"
        others = [one for one in self.instances if one.name != name]
        if caps.max_positions is not None:
            busy = sum(self._is_in(one) for one in others)
            if busy >= caps.max_positions:
                return f"{busy} instances are in a position, the cap is {caps.max_positions}"
        if caps.max_exposure is not None:
            value = sum(self._worth(one)[1] for one in self.instances)
            value += sum(_on_the_way(one) for one in others) + order.quote_e8 / SCALE
            if value > caps.max_exposure * equity * (1.0 + 1e-12):
                share = value / equity
                return f"exposure would be {share:.2%}, the cap is {caps.max_exposure:.2%}"
        return ""

    def _is_in(self, one: EventInstance) -> bool:
        return self.market.ledger.account(one.name).is_open or _on_the_way(one) > 0.0


def _renamed(candles: Candles, symbol: str) -> Candles:
    fine = candles.fine and replace(candles.fine, symbol=symbol)
    return replace(candles, symbol=symbol, fine=fine)


def _on_the_way(one: EventInstance) -> float:
    order = one.waiting.order if one.waiting is not None else None
    return order.quote_e8 / SCALE if isinstance(order, MarketBuy) else 0.0


def _moments(
    instances: Sequence[EventInstance],
) -> Iterator[tuple[int, str, list[tuple[EventInstance, int]]]]:
    """Yield (time, "close" or "open", who with which candle) in order; closes before opens."""
    rows: list[tuple[int, int, int, int]] = []
    for number, one in enumerate(instances):
        times, timeframe = one.candles.records["open_time"], one.candles.timeframe
        for t in range(one.candles.first, len(times)):
            opened = int(times[t])
            rows.append((opened, 1, number, t))
            rows.append((timeframe.next(opened), 0, number, t))
    rows.sort()
    for (time_ms, phase), group in groupby(rows, key=lambda row: row[:2]):
        yield time_ms, ("close", "open")[phase], [(instances[n], t) for _, _, n, t in group]


def _rules(
    parts: Sequence[Part], costs: Costs
) -> tuple[dict[str, Instrument], dict[str, tuple[str, ...]]]:
    """Return the instrument of every part, one and the same for a symbol, and the notes on it."""
    names = [part.name for part in parts]
    if not names:
        raise UsageError("a portfolio needs at least one part")
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"two parts are called {twice[0]!r}; give each a name of its own")
    found: dict[str, Instrument] = {}
    notes: dict[str, tuple[str, ...]] = {}
    for part in sorted(parts, key=lambda one: int(one.candles.window["open_time"][0])):
        rules, notes[part.name] = exchange_rules(part.candles, costs)
        same = [one for one in found.values() if one.symbol == rules.symbol]
        found[part.name] = same[0] if same else rules
    quotes = sorted({one.quote for one in found.values()})
    if len(quotes) > 1:
        raise UsageError(f"the parts are quoted in {' and '.join(quotes)}; an account has one cash")
    return found, notes


def _books(parts: Sequence[Part], rules: Mapping[str, Instrument]) -> dict[str, Instrument]:
    """Return the instrument of every part's own book: a second one of a pair is called BTCUSDT#2."""
    found: dict[str, Instrument] = {}
    for part in parts:
        one = rules[part.name]
        before = sum(pair_of(other.symbol) == one.symbol for other in found.values())
        name = f"{one.symbol}#{before + 1}" if before else one.symbol
        found[part.name] = replace(one, symbol=name)
    return found


def _demand_budget(parts: Sequence[Part], costs: Costs) -> None:
    if _capital(parts) > costs.cash * (1.0 + 1e-12):
        raise UsageError(
            f"the parts want {_capital(parts):,.2f}, the account has {costs.cash:,.2f}; give them less, "
            "or the account more cash"
        )


def _capital(parts: Sequence[Part]) -> float:
    return sum(part.capital for part in parts)
