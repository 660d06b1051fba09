"""What the engines do, rule by rule, and the tests that show it: the source of docs/engine-rules.md.

Each rule names a test in which it is worked by hand, a few candles long, and one in which it is held on
any market; where one of them is missing, `because` says why. `python -m tests.engine_rules.page` writes the page.
"""
