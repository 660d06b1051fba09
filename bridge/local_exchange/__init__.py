"""The local exchange: Binance spot on the wire, on this machine.

A thin shell of aiohttp around sans-I/O cores: `workbench.execution.matching` matches and prints,
`venue` joins it with accounts and the replay, `public`, `trading` and `user_events` speak Binance's
shapes. Three clocks: market data, orders and events carry the replay's market time; `/time`,
timestamps of requests, weights and stream throttles use the wall clock; waiting uses elapsed time.
"""
