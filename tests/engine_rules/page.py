"""The map of the engines' rules as a page, and the tests that it names."""

from __future__ import annotations

from pathlib import Path

from tests.engine_rules import fills_and_results, ladders_and_guards, positions
from tests.engine_rules.rule import Rule

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "engine-rules.md"
GROUPS = positions.RULES | ladders_and_guards.RULES | fills_and_results.RULES


def nodes() -> list[str]:
    """Return every test that the map names, once."""
    found = [
        name
        for rules in GROUPS.values()
        for one in rules
        for name in (*one.by_hand, *one.on_any_market, *one.live)
    ]
    return list(dict.fromkeys(found))


def page() -> str:
    """Return the map as a page."""
    parts = [
        "# What the engines do, and what shows it",
        "Every rule below has an example of a few candles that was **worked by hand**, its arithmetic in the test, "
        "and is held **on any market** against slow, independent code or another engine. Examples of trading run in "
        "the compiled kernel, in the kernel with the exchange's filters and on the matching engine; **live** names "
        "what shows it where real orders go. Where something is missing, the rule says why.",
        "Made from [tests/engine_rules](../tests/engine_rules), which a test holds to the tests that there are.",
        " · ".join(f"[{name}](#{name.lower().replace(' ', '-')})" for name in GROUPS),
    ]
    for name, rules in GROUPS.items():
        parts += [f"## {name}", *(_told(one) for one in rules)]
    return "\n\n".join(parts) + "\n"


def _told(one: Rule) -> str:
    lines = [f"**{one.says}**"]
    for label, names in (
        ("by hand", one.by_hand), ("on any market", one.on_any_market), ("live", one.live),
    ):  # fmt: skip
        if names:
            lines.append(f"- {label}: {'; '.join(map(_link, names))}")
    if one.because:
        lines.append(f"- not more: {one.because}")
    return "\n".join([lines[0], "", *lines[1:]])


def _link(name: str) -> str:
    file, _, test = name.partition("::")
    return f"[{test.removeprefix('test_').replace('_', ' ')}](../tests/{file})"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
