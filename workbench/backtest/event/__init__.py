"""The event-driven backtest: orders of one instance on the exchange's matching engine."""
