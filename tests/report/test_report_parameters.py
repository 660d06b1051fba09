"""Report parameters are read by the types of their defaults; unknown names and secrets are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.report.notebook_builder import write_report
from workbench.errors import UsageError
from workbench.report.parameters import check_names, declared, parse

DEFAULTS = {"symbol": "BTCUSDT", "fast": 12, "fee_bps": 10.0, "dark": False, "note": None}


def test_names_and_defaults_come_from_the_tagged_cell(tmp_path: Path) -> None:
    cell = 'symbol = "BTCUSDT"\nfast: int = 12  # window\nshort = -1\nimport os\n'
    write_report(tmp_path, "r", parameters=cell)
    assert declared(tmp_path / "r.ipynb") == {"symbol": "BTCUSDT", "fast": 12, "short": -1}


def test_a_report_has_exactly_one_parameters_cell(tmp_path: Path) -> None:
    path = tmp_path / "r.ipynb"
    path.write_text('{"cells": []}')
    with pytest.raises(UsageError, match="0 cells tagged `parameters`; a report has exactly one"):
        declared(path)


def test_a_parameter_that_is_not_a_plain_value_is_refused(tmp_path: Path) -> None:
    write_report(tmp_path, "r", parameters="x = print('hello')")
    with pytest.raises(UsageError, match=r"parameter x of r\.ipynb is not a plain value"):
        declared(tmp_path / "r.ipynb")


def test_texts_are_read_by_the_type_of_the_default() -> None:
    texts = ["symbol=1INCHUSDT", "fast=7", "fee_bps=0", "dark=true", "note=a=b"]
    read = parse(texts, DEFAULTS)
    assert read == {
        "symbol": "1INCHUSDT", "fast": 7, "fee_bps": 0.0, "dark": True, "note": "a=b",
    }  # fmt: skip
    assert type(read["fee_bps"]) is float


@pytest.mark.parametrize("text", ["fast=7.5", "fast=seven", "fee_bps=nan", "dark=maybe", "fast="])
def test_a_value_of_another_type_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not of type"):
        parse([text], DEFAULTS)


def test_an_unknown_name_or_a_missing_value_is_refused() -> None:
    with pytest.raises(UsageError, match="'fats' is unknown; the notebook has symbol, fast"):
        parse(["fats=7"], DEFAULTS)
    with pytest.raises(UsageError, match="has no value; write it as name=value"):
        parse(["fast"], DEFAULTS)


@pytest.mark.parametrize("name", ["api_key", "SECRET", "bot_token", "passphrase", "password"])
def test_a_secret_is_refused_even_where_the_notebook_asks_for_it(name: str) -> None:
    with pytest.raises(UsageError, match="looks like a secret"):
        check_names([name], {name: ""})
