"""How many signed orders a second the local exchange takes, against a bare aiohttp echo."""

from __future__ import annotations

from statistics import median

from tests.benchmarks.order_load import echo, exchange, posts_a_second

ROUNDS = 5
ORDERS = 1_000
GOAL = 0.25
SLACK = 0.8


def test_signed_orders_reach_a_quarter_of_a_bare_echo() -> None:
    with exchange() as (port, key, secret), echo() as echo_port:
        for warm in (port, echo_port):
            posts_a_second(warm, key, secret, 200)
        orders, echoes = [], []
        for _ in range(ROUNDS):
            echoes.append(posts_a_second(echo_port, key, secret, ORDERS))
            orders.append(posts_a_second(port, key, secret, ORDERS))
    ratio = median(order / bare for order, bare in zip(orders, echoes, strict=True))
    print(f"\nsigned orders {median(orders):,.0f}/s, echo {median(echoes):,.0f}/s, {ratio:.2f}")
    assert ratio >= GOAL * SLACK
