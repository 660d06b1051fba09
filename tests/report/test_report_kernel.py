"""A report's kernel sees an allow-list of the environment."""

from __future__ import annotations

from workbench.report.kernel import clean_environment


def test_only_named_variables_are_passed_on() -> None:
    given = {
        "PATH": "/bin", "LC_ALL": "C.UTF-8", "WORKBENCH_HOME": "/h", "BINANCE_API_KEY": "k",
        "BINANCE_SECRET": "s", "AWS_SESSION_TOKEN": "t", "JUPYTER_TOKEN": "j", "HTTPS_PROXY": "u:p@h",
        "WORKBENCH_PASSPHRASE": "p", "LD_PRELOAD": "x.so",
    }  # fmt: skip
    kept = clean_environment(given)
    assert set(kept) == {"PATH", "LC_ALL", "WORKBENCH_HOME", "MPLBACKEND"}
    assert kept["PATH"] == "/bin"
