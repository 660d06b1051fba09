"""Errors by whose fault they are; each message gives the values, the rule and the mend in one line."""

from __future__ import annotations


class WorkbenchError(Exception):
    """Any failure that a user can be told about in one line."""


class UsageError(WorkbenchError):
    """The call was wrong: an unknown name, a value out of range, a combination that cannot work."""


class DataError(WorkbenchError):
    """The candles or files are wrong, missing or too few for what was asked."""


class ExchangeError(WorkbenchError):
    """The exchange, or the way to it, answered with something other than what was asked."""
