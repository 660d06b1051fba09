"""What an account may read of itself: balances, commission, limits and filters."""

from __future__ import annotations

from bridge.local_exchange.accounts import Account
from bridge.local_exchange.information import exchange_filters, rate_limits, symbol_filters
from bridge.local_exchange.limits import Limits
from bridge.local_exchange.parameters import Parameters
from bridge.local_exchange.shapes import Json, balances
from bridge.local_exchange.trading import discount, no_rates, standard_rates
from bridge.local_exchange.venue import Venue
from workbench.execution.matching.balances import Balance
from workbench.market.instruments import from_e8


def information(venue: Venue, params: Parameters, account: Account) -> Json:
    """Return rates, permissions and balances."""
    held = venue.engine.balances(account.name)
    assets = _assets(venue, held)
    if params.flag("omitZeroBalances"):
        assets = [name for name in assets if name in held and _any(held[name])]
    whole_bps = round(venue.settings.fee_bps)
    may_trade = dict(venue.settings.permissions).get("enableSpotAndMarginTrading", True)
    return {
        "makerCommission": whole_bps,
        "takerCommission": whole_bps,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": standard_rates(venue),
        "canTrade": may_trade,
        "canWithdraw": False,
        "canDeposit": False,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": _last_change(venue, account),
        "accountType": "SPOT",
        "balances": balances(held, assets),
        "permissions": ["SPOT"],
        "uid": account.uid,
    }


def commission(venue: Venue, params: Parameters, account: Account) -> Json:
    """Return the commission rates of a symbol."""
    symbol = params.symbol()
    venue.engine.instrument(symbol)
    return {
        "symbol": symbol,
        "standardCommission": standard_rates(venue),
        "specialCommission": no_rates(),
        "taxCommission": no_rates(),
        "discount": discount(venue, account),
    }


def my_filters(venue: Venue, params: Parameters, account: Account) -> Json:
    """Return the filters that apply to the account on a symbol."""
    symbol = params.symbol()
    instrument = venue.engine.instrument(symbol)
    floor = venue.engine.floor
    assets: list[Json] = [
        {"filterType": "MAX_ASSET", "asset": asset, "limit": from_e8(most_e8)}
        for asset, most_e8 in floor.exchange_rules.max_asset_e8
        if asset in (instrument.base, instrument.quote)
    ]
    return {
        "exchangeFilters": exchange_filters(floor.exchange_rules),
        "symbolFilters": symbol_filters(instrument, floor.rule(symbol)),
        "assetFilters": assets,
    }


def order_counts(limits: Limits, account: Account, wall_ms: int) -> Json:
    """Return how many unfilled orders count against the limits now."""
    _, short, day, _ = rate_limits(limits.rules)
    counts = limits.orders(account.name, wall_ms)
    return [short | {"count": counts[0]}, day | {"count": counts[1]}]


def _assets(venue: Venue, held: dict[str, Balance]) -> list[str]:
    names = [asset for asset, _ in venue.settings.balances]
    for one in venue.engine.instruments.values():
        names += [one.base, one.quote]
    return sorted({*names, *held})


def _any(balance: Balance) -> bool:
    return bool(balance.free_e8 or balance.locked_e8)


def _last_change(venue: Venue, account: Account) -> int:
    """Return when the newest of the account's orders took its last step."""
    floor = venue.engine.floor
    newest = [floor.all[account.name, symbol][-1:] for symbol in venue.engine.instruments]
    times = [floor.orders[number].updated_ms for numbers in newest for number in numbers]
    return max(times, default=venue.now_ms)
