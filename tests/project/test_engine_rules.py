"""The map of the engines' rules is honest: its tests are there, and what is missing is said."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.engine_rules.page import GROUPS, PAGE, TESTS, nodes, page


def test_every_test_that_the_map_names_is_collected(request: pytest.FixtureRequest) -> None:
    here = {_plain(item.nodeid) for item in request.session.items}
    absent = [
        name for name in nodes() if name not in here
    ]  # all of them, where this file runs alone
    if absent:
        files = sorted({name.partition("::")[0] for name in absent})
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files],
            cwd=TESTS, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
        here |= {_plain(line) for line in done.stdout.splitlines()}
    assert [name for name in nodes() if name not in here] == []


def _plain(node: str) -> str:
    return node.partition("[")[0].removeprefix("tests/")


def test_a_rule_without_an_example_or_without_a_property_says_why() -> None:
    for rules in GROUPS.values():
        for one in rules:
            whole = bool(one.by_hand and one.on_any_market)
            assert whole != bool(one.because), one.says
            assert one.by_hand or one.on_any_market or one.live, one.says


def test_the_page_is_made_from_the_map() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.engine_rules.page"
