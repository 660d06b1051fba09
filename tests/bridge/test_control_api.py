"""The control API's doors, commands that are said twice, and the canary that must show up nowhere."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl
import pytest

from bridge.cli import instances
from bridge.client import BridgeClient, BridgeError
from bridge.vault import Vault
from tests.bridge.stage import FAST, PASSPHRASE, Market, Stage
from workbench.errors import UsageError


@pytest.fixture(scope="module")
def stage(
    market: Market, _next_account: Iterator[int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """One served account for all of these tests, with an instance that has traded."""
    made = Stage(
        tmp_path_factory.mktemp("api") / "home",
        market,
        market.told["accounts"][next(_next_account)],
    )
    made.make_vault()
    Vault.open(made.home / "vault.json", PASSPHRASE).add("real", "mainnet", "K" * 64, "S" * 64)
    made.serve()
    made.wait_connected()
    made.start("first")
    made.step_until_fills("first", 2)
    yield made
    made.end()


def ask(stage: Stage, method: str, path: str, **headers: str | None) -> tuple[int, Any]:
    """Ask with the right token and Host unless a header says otherwise (None leaves it out)."""
    client = stage.client
    address = urlsplit(client.url)
    assert address.port is not None
    sent: dict[str, str | None] = {
        "Host": f"127.0.0.1:{address.port}",
        "Authorization": f"Bearer {client._token}",
        "Content-Type": "application/json",
    }
    sent |= {name.replace("_", "-"): value for name, value in headers.items() if name != "body"}
    connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=20)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    body = (headers.get("body") or "").encode()
    for name, value in {**sent, "Content-Length": str(len(body))}.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, json.loads(data) if data[:1] in b"{[" else data.decode()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Authorization": None}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Basic abc"}, 401),
        ({"Host": "evil.example:80"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_who_may_ask(stage: Stage, headers: dict[str, str | None], status: int) -> None:
    """401 without the token, 403 for a rebound Host or a foreign Origin; every refusal is one line."""
    found, body = ask(stage, "GET", "/v1/state", **headers)
    assert found == status
    if status != 200:
        assert "\n" not in body["error"]


def test_a_form_post_of_a_web_page_is_refused(stage: Stage) -> None:
    """Browsers send forms without asking first; JSON they do not."""
    assert ask(stage, "POST", "/v1/instances", Content_Type="text/plain", body="{}")[0] == 415
    assert ask(stage, "POST", "/v1/instances", body="{")[0] == 422


def test_the_supervisor_listens_on_loopback_alone(stage: Stage) -> None:
    """And its file, with the token, is for its owner alone."""
    assert urlsplit(stage.client.url).hostname == "127.0.0.1"
    for name in ("supervisor.json", "vault.json"):
        assert (stage.home / name).stat().st_mode & 0o077 == 0
    assert stage.home.stat().st_mode & 0o077 == 0


def test_a_command_said_twice_is_done_once(stage: Stage) -> None:
    """A replay gets the first answer; the same name with another command id is a conflict."""
    wish = {
        "account": "paper",
        "strategy": "macd",
        "symbol": "BTCUSDT",
        "interval": "1h",
        "capital": 100,
    }
    first = stage.client.start_instance("twice", command_id="cmd-1", **wish)  # type: ignore[arg-type]
    again = stage.client.start_instance("twice", command_id="cmd-1", **wish)  # type: ignore[arg-type]
    assert again == first
    with pytest.raises(BridgeError, match="exists already") as taken:
        stage.client.start_instance("twice", command_id="cmd-2", **wish)  # type: ignore[arg-type]
    assert taken.value.status == 409
    stage.client.wait_until("twice", {"RUNNING"})
    stage.client.stop_instance("twice", policy="keep", command_id="cmd-3")
    assert stage.client.stop_instance("twice", policy="keep", command_id="cmd-3")["name"] == "twice"
    stage.client.wait_until("twice", {"STOPPED"})


def test_a_stop_right_after_the_start_ends_the_instance(stage: Stage) -> None:
    """Whatever it was doing, warm-up included; a second stop is a conflict."""
    stage.client.start_instance(
        "early", account="paper", strategy="macd", symbol="BTCUSDT", interval="1h", capital=50
    )
    stage.client.stop_instance("early")
    assert stage.client.wait_until("early", {"STOPPED"})["quantity"] == 0
    with pytest.raises(BridgeError, match="is STOPPED already"):
        stage.client.stop_instance("early")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"account": "nobody"}, "no account 'nobody'"),
        ({"strategy": "martingale"}, "unknown strategy 'martingale'"),
        ({"params": {"fast": 30, "slow": 7}}, "not a valid parameter set"),
        (
            {"strategy": "grid", "params": {"lines": 65}},
            "is worth 1.55468750 USDT: below the exchange's",
        ),
        (
            {"strategy": "grid", "params": {"low": 0.1, "lines": 5}},
            "lies outside .*PERCENT_PRICE",
        ),
        ({"symbol": "DOGEUSDT"}, "DOGEUSDT"),
        ({"capital": 100000}, "more than is free"),
        ({"capital": 0}, "must be above 0"),
        ({"exits": "stop=120%"}, "takes less than 100%"),
        ({"exits": "stop=1%|2%"}, "one run takes one"),
        ({"guards": "daily_loss=120%"}, r"guards: daily_loss=1.2 is out of range"),
        ({"guards": "cooldown_bars=1|2"}, "'1|2' is not a number"),
        ({"guards": "volatility=50%,volatility_bars=20000"}, "more than the 10000 candles"),
    ],
)
def test_a_start_that_cannot_work_is_refused_in_one_line(
    stage: Stage, change: dict[str, Any], complaint: str
) -> None:
    """422 with the values, the rule and the mend; nothing is left behind."""
    wish: dict[str, Any] = {
        "account": "paper", "strategy": "macd", "symbol": "BTCUSDT", "interval": "1h", "capital": 100,
    }  # fmt: skip
    with pytest.raises(BridgeError, match=complaint) as refused:
        stage.client.start_instance("wrong", **(wish | change))
    assert refused.value.status == 422
    assert "\n" not in str(refused.value)
    assert "wrong" not in {one["name"] for one in stage.client.state()["instances"]}


def test_a_mainnet_account_is_shown_as_refused_and_cannot_be_started(stage: Stage) -> None:
    """Arming is not built: no process gets its keys, and the refusal says so."""
    real = next(one for one in stage.client.accounts() if one["name"] == "real")
    assert (real["state"], real["gateway_pid"]) == ("REFUSED", None)
    with pytest.raises(BridgeError, match="mainnet cannot be traded yet"):
        stage.client.start_instance(
            "wrong", account="real", strategy="macd", symbol="BTCUSDT", interval="1h", capital=100
        )
    assert not (stage.home / "accounts" / "real").exists()


def test_events_tell_the_story_in_order(stage: Stage) -> None:
    """Journal seqs without a hole; a ticket comes before its fill."""
    kinds = []
    for number, event in enumerate(stage.client.events(), 1):
        assert event["seq"] == number
        kinds.append(event["kind"])
        if event["kind"] == "fill":
            break
    assert kinds[0] == "instance"
    assert kinds.index("ticket") < kinds.index("fill")


def test_strategies_metrics_and_unknown_instances(stage: Stage) -> None:
    """What forms and monitors read."""
    (macd,) = [one for one in stage.client.strategies() if one["name"] == "macd"]
    assert [one["name"] for one in macd["parameters"]] == list(FAST)
    status, text = ask(stage, "GET", "/metrics")
    assert status == 200
    assert 'workbench_gateway_up{account="paper"} 1' in text
    assert 'workbench_instance_equity{instance="first",symbol="BTCUSDT"}' in text
    with pytest.raises(BridgeError, match="no instance 'ghost'") as missing:
        stage.client.candles("ghost")
    assert missing.value.status == 404


def test_export_writes_what_the_journal_holds(stage: Stage, tmp_path: Path) -> None:
    """Decisions, orders and fills as parquet, from another process, while the gateway runs."""
    command = [
        sys.executable,
        "-m",
        "bridge.cli",
        "export",
        "--instance",
        "first",
        "--out",
        str(tmp_path),
        "--json",
    ]
    environment = {"PATH": "/usr/bin", "WORKBENCH_HOME": str(stage.home)}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    rows = json.loads(done.stdout)["rows"]
    fills = pl.read_parquet(tmp_path / "fills.parquet")
    decisions = pl.read_parquet(tmp_path / "decisions.parquet")
    assert rows["fills"] == len(fills) == len(stage.client.fills("first"))
    assert {"market_ms", "side", "price", "ticks", "lots", "qty", "commission"} <= set(
        fills.columns
    )
    assert {"seq", "open_time_ms", "target", "acted", "side", "equity", "cash", "quantity"} <= set(
        decisions.columns
    )
    assert decisions["acted"].sum() == len(pl.read_parquet(tmp_path / "orders.parquet"))
    assert fills["ticks"].to_list() == [round(price * 100) for price in fills["price"]]


def test_no_secret_is_written_or_told_anywhere(stage: Stage) -> None:
    """G16: API key, secret and passphrase are in no file, no log, no answer and no process list."""
    canaries = [stage.keys["api_key"], stage.keys["secret"], PASSPHRASE]
    told = json.dumps(
        [stage.client.state(), stage.client.decisions("first"), ask(stage, "GET", "/metrics")]
    )
    places = {"answers": told.encode()}
    for path in stage.home.rglob("*"):
        if path.is_file():
            places[str(path)] = path.read_bytes()
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                places[f"{process}/{name}"] = (process / name).read_bytes()
            except OSError:
                continue
    assert any("logs" in name for name in places)
    found = [
        (name, i)
        for name, text in places.items()
        for i, one in enumerate(canaries)
        if one.encode() in text
    ]
    assert found == []
    token = stage.client._token.encode()
    holders = [name for name, text in places.items() if token in text]
    assert holders == [str(stage.home / "supervisor.json")]


def test_the_command_line_tells_the_same(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`bridge status`, for people and for programs; wrong parameters are one line."""
    monkeypatch.setenv("WORKBENCH_HOME", str(stage.home))
    instances.status(json=True)
    told = json.loads(capsys.readouterr().out)
    assert {one["name"] for one in told["instances"]} >= {"first"}
    instances.status()
    assert "first: RUNNING macd BTCUSDT 1h" in capsys.readouterr().out
    assert instances.parse_params("fast=3,weight=0.5") == {"fast": 3, "weight": 0.5}
    with pytest.raises(UsageError, match="'slow' is not NAME=NUMBER"):
        instances.parse_params("fast=3,slow")


def test_a_client_without_a_supervisor_says_how_to_start_one(tmp_path: Path) -> None:
    """One line with the mend."""
    with pytest.raises(Exception, match="start `bridge serve`"):
        BridgeClient.from_home(tmp_path)
