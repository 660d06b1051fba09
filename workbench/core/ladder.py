"""A ladder of resting limit orders: what is wanted, what rests, and what has been reserved for it.

An intent's ladder is desired state, read only when its `revision` changes (`lay`). It is compared
by id with the one that stands: an unchanged rung stays as it is, whatever it has come to; one that
is gone or wants something else is taken back, and what is new waits for the next tradable open.

    WAITING --rest--> RESTING --filled, turn--> RESTING as its opposite, at pair_price, and back
    a buy, while a guard holds the ladder --> WAITING
    refused --> OFF until a new revision;   filled without a pair_price --> DONE

A rung buys for `quote`, at its price or, where it began as a sale, at its pair price; it sells what
its last buy kept after the fee, and where it has not bought yet, `quote` / price. Cash and base are
reserved when an order is placed; one that cannot be paid, or that the exchange would find too small,
is refused and counted. With exchange filters buys rest at the tick below and sales at the tick
above; what a sale in whole lots leaves over waits in `dust_e8` for the next one.

`buys` and `sells` are stacks of rungs in the order of their prices: the last one is nearest to the
market, the older of two at one price above the younger. So a candle costs two comparisons, however
many rungs there are, and a fill almost nothing more.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from workbench.core.account import is_out_of_range, lots_for_quote
from workbench.core.costs import SCALE
from workbench.core.records import LADDER_SIZE

OFF, WAITING, RESTING, DONE = 0, 1, 2, 3
_SNAP = 1e-9  # a price within this share of a tick counts as on it; a sum within it as paid

STANDING = np.dtype(
    [
        ("id", "<i4"),
        ("side", "<i1"),
        ("status", "<i1"),
        ("turned", "<i1"),  # 1: its own order has filled, the opposite one is at stake
        ("price", "<f8"),
        ("quote", "<f8"),
        ("pair_price", "<f8"),
        ("limit", "<f8"),  # the price at which its order rests, or rested last
        ("ticks", "<i8"),
        ("quantity", "<f8"),
        ("lots", "<i8"),
        ("locked", "<f8"),  # reserved for it: quote for a buy, base for a sale
        ("locked_e8", "<i8"),
        ("kept", "<f8"),  # base that its last buy brought, after the fee
        ("kept_e8", "<i8"),
        ("signal_index", "<i8"),
        ("order_id", "<i8"),  # of the engine or exchange where it rests; 0 in the kernel
    ],
    align=True,
)

LADDER = np.dtype(
    [
        ("n", "<i4"),
        ("revision", "<i4"),
        ("waiting", "<i4"),
        ("held", "<i4"),  # 1 while a guard holds its buys back: those that wait are not placed
        ("n_buys", "<i4"),
        ("n_sells", "<i4"),
        ("nearest_buy", "<f8"),  # -inf without one
        ("nearest_sell", "<f8"),  # inf without one
        ("filled", "<u8"),  # bit j: rung j has filled and its opposite is at stake
        ("dust_e8", "<i8"),
        ("at", "<f8"),  # where the walk along a candle's path stands
        ("spoken_quote", "<f8"),  # what a market order that waits will take at this open
        ("spoken_quote_e8", "<i8"),
        ("spoken_base", "<f8"),
        ("spoken_base_e8", "<i8"),
        ("refused", "<i8"),
        ("rungs", STANDING, (LADDER_SIZE,)),
        ("before", STANDING, (LADDER_SIZE,)),  # the rungs as they were when a ladder was laid
        ("n_before", "<i4"),
        ("moved", "<i4", (LADDER_SIZE,)),  # where each of them is now, -1 for taken back
        ("buys", "<i4", (LADDER_SIZE,)),
        ("sells", "<i4", (LADDER_SIZE,)),
    ],
    align=True,
)


@njit(nogil=True)
def clear_ladder(ladder):
    """Make it a ladder that was never laid."""
    ladder.n = ladder.revision = ladder.waiting = ladder.n_buys = ladder.n_sells = 0
    ladder.held = 0
    ladder.nearest_buy, ladder.nearest_sell = -np.inf, np.inf
    ladder.filled = np.uint64(0)
    ladder.n_before = 0
    ladder.dust_e8 = ladder.refused = 0
    ladder.spoken_quote = ladder.spoken_base = 0.0
    ladder.spoken_quote_e8 = ladder.spoken_base_e8 = 0


@njit(nogil=True)
def ladder_error(intent):
    """Return whether the ladder in an intent cannot be carried out: a count, rung or id that is none."""
    if not 0 <= intent.n_ladder <= LADDER_SIZE:
        return True
    rising = True
    for j in range(intent.n_ladder):
        rung = intent.ladder[j]
        if not (rung.side == 1 or rung.side == -1):
            return True
        if not (0.0 < rung.price < np.inf and 0.0 < rung.quote < np.inf):
            return True
        pair = rung.pair_price
        if pair != 0.0 and not (0.0 < pair < np.inf and (pair - rung.price) * rung.side > 0.0):
            return True
        if j > 0 and rung.id <= intent.ladder[j - 1].id:
            rising = False
    return not rising and _has_twins(intent)


@njit(nogil=True)
def _has_twins(intent):
    for j in range(intent.n_ladder):
        for i in range(j):
            if intent.ladder[i].id == intent.ladder[j].id:
                return True
    return False


@njit(nogil=True)
def lay(ladder, intent, account, signal_index):
    """Make the ladder of an intent the one that is wanted; take back at once what is not in it."""
    ladder.revision = intent.revision
    ladder.n_before = 0
    kept = 0
    while kept < min(ladder.n, intent.n_ladder) and _wants(intent.ladder[kept], ladder.rungs[kept]):
        kept += 1
    if kept < ladder.n:
        _compare(ladder, intent, account, signal_index)
    else:
        for j in range(kept, intent.n_ladder):  # rungs were added at the end, as grids do
            _begin(ladder.rungs[j], intent.ladder[j], signal_index)
    ladder.n = intent.n_ladder
    ladder.waiting = 0
    ladder.filled = np.uint64(0)
    for j in range(ladder.n):
        rung = ladder.rungs[j]
        if rung.status == OFF:
            rung.status = WAITING
        if rung.status == WAITING:
            ladder.waiting += 1
        if rung.turned:
            ladder.filled |= np.uint64(1) << np.uint64(j)


@njit(nogil=True)
def _compare(ladder, intent, account, signal_index):
    """Put each wanted rung in its place, as it stood or new; unlock what the others had reserved."""
    ladder.n_before = ladder.n
    for i in range(ladder.n_before):
        ladder.before[i] = ladder.rungs[i]
        ladder.moved[i] = -1
    for j in range(intent.n_ladder):
        i = _find(ladder, intent.ladder[j], j)
        if i >= 0:
            ladder.moved[i] = j
            ladder.rungs[j] = ladder.before[i]
        else:
            _begin(ladder.rungs[j], intent.ladder[j], signal_index)
    for i in range(ladder.n_before):
        if ladder.moved[i] < 0 and ladder.before[i].status == RESTING:
            _unlock(ladder.before[i], account)
    ladder.n_buys = _renumber(ladder.buys, ladder.n_buys, ladder.moved)
    ladder.n_sells = _renumber(ladder.sells, ladder.n_sells, ladder.moved)
    _look(ladder, account)


@njit(nogil=True)
def _begin(rung, wish, signal_index):
    rung.id, rung.side = wish.id, wish.side
    rung.price, rung.quote, rung.pair_price = wish.price, wish.quote, wish.pair_price
    rung.status, rung.turned = WAITING, 0
    rung.kept = rung.locked = 0.0
    rung.kept_e8 = rung.locked_e8 = rung.ticks = rung.order_id = 0
    rung.signal_index = signal_index


@njit(nogil=True)
def _wants(wish, rung):
    same = rung.id == wish.id and rung.side == wish.side and rung.price == wish.price
    return same and rung.quote == wish.quote and rung.pair_price == wish.pair_price


@njit(nogil=True)
def _find(ladder, wish, j):
    """Return where the rung of that id stood, -1 where there was none or it wants something else."""
    for k in range(ladder.n_before):
        i = (j + k) % ladder.n_before  # nearly always the same place
        if ladder.before[i].id == wish.id:
            return i if _wants(wish, ladder.before[i]) else -1
    return -1


@njit(nogil=True)
def _renumber(stack, count, moved):
    left = 0
    for k in range(count):
        if moved[stack[k]] >= 0:
            stack[left] = moved[stack[k]]
            left += 1
    return left


@njit(nogil=True)
def withdraw(ladder, account):
    """Take every order back before the position is sold: a new revision begins with nothing bought."""
    for j in range(ladder.n):
        rung = ladder.rungs[j]
        if rung.status == RESTING:
            _unlock(rung, account)
        if rung.status != DONE:
            rung.status, rung.turned = OFF, 0
        rung.kept, rung.kept_e8 = 0.0, 0
    ladder.filled = np.uint64(0)
    ladder.waiting = ladder.n_buys = ladder.n_sells = ladder.dust_e8 = 0
    _look(ladder, account)


@njit(nogil=True)
def hold_buys(ladder, account):
    """Take every buy back; they wait, as do all that come, until the ladder is not held any more."""
    ladder.held = 1
    while ladder.n_buys > 0:
        hold_buy(ladder, ladder.buys[ladder.n_buys - 1], account)


@njit(nogil=True)
def hold_buy(ladder, j, account):
    """Take rung j's buy back and let it wait."""
    take_down(ladder, j, account)
    rung = ladder.rungs[j]
    rung.status, rung.ticks, rung.order_id = WAITING, 0, 0
    ladder.waiting += 1


@njit(nogil=True, forceinline=True)
def may_be_placed(ladder, rung):
    """Return whether a rung waits and nothing holds it back."""
    return rung.status == WAITING and not (ladder.held and order_side(rung) > 0)


@njit(nogil=True)
def rest(ladder, j, account, costs):
    """Size rung j's order, reserve what it needs and let it rest; return False where it is refused."""
    rung = ladder.rungs[j]
    if rung.status == WAITING:
        ladder.waiting -= 1
    side = order_side(rung)
    price = rung.pair_price if rung.turned else rung.price
    paid = _reserve_exact(ladder, rung, side, price, account, costs) if costs.exact else False
    if not costs.exact:
        paid = _reserve_plain(ladder, rung, side, price, account)
    if not paid:
        rung.status = OFF
        ladder.refused += 1
        return False
    rung.status = RESTING
    if side > 0:
        ladder.n_buys = _put(ladder.buys, ladder.n_buys, ladder.rungs, j, 1.0)
    else:
        ladder.n_sells = _put(ladder.sells, ladder.n_sells, ladder.rungs, j, -1.0)
    _look(ladder, account)
    return True


@njit(nogil=True)
def order_side(rung):
    """Return which way a rung's next order goes: +1 buy, -1 sell."""
    return -rung.side if rung.turned else rung.side


@njit(nogil=True)
def _reserve_plain(ladder, rung, side, price, account):
    rung.limit = price
    if side > 0:
        free = account.cash - account.cash_locked - ladder.spoken_quote
        if rung.quote > free + _SNAP * rung.quote:
            return False
        rung.quantity, rung.locked = rung.quote / price, rung.quote
        account.cash_locked += rung.locked
        return True
    wanted = rung.kept if rung.kept > 0.0 else rung.quote / price
    least = _SNAP * wanted if rung.kept > 0.0 else wanted - _SNAP * wanted
    has = min(wanted, account.quantity - account.base_locked - ladder.spoken_base)
    if has < least:
        return False
    rung.quantity = rung.locked = has
    account.base_locked += has
    return True


@njit(nogil=True)
def _reserve_exact(ladder, rung, side, price, account, costs):
    in_ticks = price * SCALE / costs.tick_e8
    ticks = int(math.floor(in_ticks + _SNAP) if side > 0 else math.ceil(in_ticks - _SNAP))
    if ticks <= 0 or (rung.ticks > 0 and rung.turned and (ticks - rung.ticks) * side >= 0):
        return False  # less than a tick from its opposite: the two would trade with each other
    quote_e8 = int(math.floor(rung.quote * SCALE + 1e-6))
    lots = lots_for_quote(quote_e8, ticks, costs.unit_e8)
    cash_e8 = account.cash_e8 - account.cash_locked_e8 - ladder.spoken_quote_e8
    base_e8 = account.base_e8 - account.base_locked_e8 - ladder.spoken_base_e8
    has_e8 = rung.kept_e8 + ladder.dust_e8
    if side < 0 and rung.kept_e8 > 0:
        lots = min(has_e8, base_e8) // costs.step_e8
    if lots <= 0 or is_out_of_range(costs, lots, ticks):
        return False
    value_e8, lots_e8 = lots * ticks * costs.unit_e8, lots * costs.step_e8
    if lots_e8 < costs.min_qty_e8:
        return False
    if (side > 0 and value_e8 > cash_e8) or (side < 0 and lots_e8 > base_e8):
        return False
    if side > 0:
        rung.locked_e8 = value_e8
        account.cash_locked_e8 += value_e8
    else:
        rung.locked_e8 = lots_e8
        account.base_locked_e8 += lots_e8
        if rung.kept_e8 > 0:
            ladder.dust_e8 = has_e8 % costs.step_e8
    rung.ticks, rung.lots = ticks, lots
    rung.limit = ticks * costs.tick_e8 / SCALE
    account.cash_locked = account.cash_locked_e8 / SCALE
    account.base_locked = account.base_locked_e8 / SCALE
    return True


@njit(nogil=True)
def take_down(ladder, j, account):
    """Take rung j's order off its stack and give back what it reserved: it filled or was taken back."""
    rung = ladder.rungs[j]
    if order_side(rung) > 0:
        ladder.n_buys = _lift(ladder.buys, ladder.n_buys, j)
    else:
        ladder.n_sells = _lift(ladder.sells, ladder.n_sells, j)
    _unlock(rung, account)
    rung.status = OFF
    _look(ladder, account)


@njit(nogil=True)
def turn(ladder, j, account, costs):
    """After rung j's order has filled: rest the opposite one at once, or let it wait while it is held."""
    rung = ladder.rungs[j]
    rung.turned = 1 - rung.turned
    ladder.filled ^= np.uint64(1) << np.uint64(j)
    if rung.pair_price == 0.0:
        rung.status = DONE
        return False
    if ladder.held and order_side(rung) > 0:
        rung.status = WAITING
        ladder.waiting += 1
        return False
    return rest(ladder, j, account, costs)


@njit(nogil=True)
def _unlock(rung, account):
    if order_side(rung) > 0:
        account.cash_locked_e8 -= rung.locked_e8
        account.cash_locked -= rung.locked
    else:
        account.base_locked_e8 -= rung.locked_e8
        account.base_locked -= rung.locked
    if rung.locked_e8 > 0:
        account.cash_locked = account.cash_locked_e8 / SCALE
        account.base_locked = account.base_locked_e8 / SCALE
    rung.locked, rung.locked_e8 = 0.0, 0


@njit(nogil=True)
def _put(stack, count, rungs, j, sign):
    """Put rung j where its price belongs: below all that are nearer to the market, or as near and older."""
    k, limit = count, rungs[j].limit * sign
    while k > 0 and rungs[stack[k - 1]].limit * sign >= limit:
        stack[k] = stack[k - 1]
        k -= 1
    stack[k] = j
    return count + 1


@njit(nogil=True)
def _lift(stack, count, j):
    k = count - 1
    while stack[k] != j:
        k -= 1
    for i in range(k, count - 1):
        stack[i] = stack[i + 1]
    return count - 1


@njit(nogil=True)
def _look(ladder, account):
    """Note the nearest orders; where none rests, nothing is locked, not even a rounding."""
    ladder.nearest_buy, ladder.nearest_sell = -np.inf, np.inf
    if ladder.n_buys > 0:
        ladder.nearest_buy = ladder.rungs[ladder.buys[ladder.n_buys - 1]].limit
    else:
        account.cash_locked = 0.0
    if ladder.n_sells > 0:
        ladder.nearest_sell = ladder.rungs[ladder.sells[ladder.n_sells - 1]].limit
    else:
        account.base_locked = 0.0
