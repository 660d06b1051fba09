"""The matching engine and its tape: sans-I/O, shared by the event-driven backtest and the exchange."""

from workbench.execution.matching.balances import Balance
from workbench.execution.matching.engine import MatchingEngine

__all__ = ["Balance", "MatchingEngine"]
