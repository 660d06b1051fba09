"""Balances of every account, free and locked, and the proof that no asset is made or lost.

Everything is an integer at 1e-8. Besides the users there are two counterparties without limits:
`market`, the other side of fills against the liquidity function, and `fees`. For every asset

    sum over accounts (free + locked) + fees + market == deposited,

at every instant and exactly; `check_conservation` says which asset broke it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from workbench.execution.orders import Rejected

INSUFFICIENT = "Account has insufficient balance for requested action."


@dataclass(frozen=True, slots=True)
class Balance:
    """One asset of one account at 1e-8: what can be spent and what open orders hold."""

    free_e8: int = 0
    locked_e8: int = 0


class Balances:
    """The exchange's books; only these methods move money."""

    def __init__(self) -> None:
        self._accounts: dict[str, dict[str, Balance]] = defaultdict(dict)
        self.deposited: dict[str, int] = defaultdict(int)
        self.fees: dict[str, int] = defaultdict(int)
        self.market: dict[str, int] = defaultdict(int)

    def of(self, account: str) -> dict[str, Balance]:
        """Return a copy of an account's balances by asset."""
        return dict(self._accounts[account])

    def get(self, account: str, asset: str) -> Balance:
        """Return one balance; zero for an asset the account never held."""
        return self._accounts[account].get(asset, _NOTHING)

    def deposit(self, account: str, asset: str, amount_e8: int) -> None:
        """Add money from outside."""
        if amount_e8 < 0:
            raise ValueError(f"deposit of {amount_e8} {asset}: must not be negative")
        self.deposited[asset] += amount_e8
        self._move(account, asset, amount_e8, 0)

    def require(self, account: str, asset: str, amount_e8: int) -> None:
        """Refuse with -2010 unless that much is free."""
        if self.get(account, asset).free_e8 < amount_e8:
            raise Rejected(-2010, INSUFFICIENT)

    def lock(self, account: str, asset: str, amount_e8: int) -> None:
        """Reserve free money for an open order; -2010 when there is not enough."""
        self.require(account, asset, amount_e8)
        self._move(account, asset, -amount_e8, amount_e8)

    def release(self, account: str, asset: str, amount_e8: int) -> None:
        """Give reserved money back."""
        self._move(account, asset, amount_e8, -amount_e8)

    def pay_locked(self, account: str, asset: str, amount_e8: int) -> None:
        """Move reserved money to the market's side of a fill."""
        self._move(account, asset, 0, -amount_e8)
        self.market[asset] += amount_e8

    def receive(self, account: str, asset: str, amount_e8: int, fee_e8: int) -> None:
        """Credit the other half of a fill, less the commission that the exchange keeps."""
        self.market[asset] -= amount_e8
        self.fees[asset] += fee_e8
        self._move(account, asset, amount_e8 - fee_e8, 0)

    def pay_fee(self, account: str, asset: str, fee_e8: int) -> None:
        """Take a commission out of free money."""
        self._move(account, asset, -fee_e8, 0)
        self.fees[asset] += fee_e8

    def check_conservation(self) -> None:
        """Raise AssertionError naming the first asset whose sum is not what was deposited."""
        held: dict[str, int] = defaultdict(int)
        for balances in self._accounts.values():
            for asset, balance in balances.items():
                held[asset] += balance.free_e8 + balance.locked_e8
        for asset in set(held) | set(self.deposited) | set(self.market) | set(self.fees):
            total = held[asset] + self.fees.get(asset, 0) + self.market.get(asset, 0)
            deposited = self.deposited.get(asset, 0)
            if total != deposited:
                raise AssertionError(f"{asset}: {total} held against {deposited} deposited (1e-8)")

    def _move(self, account: str, asset: str, free_e8: int, locked_e8: int) -> None:
        before = self.get(account, asset)
        free, locked = before.free_e8 + free_e8, before.locked_e8 + locked_e8
        if free < 0 or locked < 0:
            raise AssertionError(f"{account} {asset}: balance would fall to {free}/{locked} (1e-8)")
        self._accounts[account][asset] = Balance(free, locked)


_NOTHING = Balance()
