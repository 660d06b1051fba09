"""The universe: every pair with its first and last candle, the delisted ones too, and the largest of a date."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from tests.conftest import shared_path
from tests.data.conftest import JANUARY_2024_MS, candle_frame
from tests.data.klines_server import Fault, KlinesServer
from tests.data.local_exchange import LocalExchange, stepped
from workbench.cli.data import app as data_app
from workbench.data import Places
from workbench.data.listing_dates import refresh
from workbench.data.ranking import top
from workbench.data.sources.binance_rest import BinanceRest
from workbench.data.sources.patience import Patience
from workbench.data.store import Store
from workbench.data.universe import Listing, Universe, path_of, read, universe
from workbench.errors import DataError, ExchangeError, UsageError
from workbench.market.timeframes import DAY_MS, TIMEFRAMES

HASTY = Patience(attempts=3, first_wait_s=0.01)
NOW_MS = JANUARY_2024_MS + 100 * DAY_MS
MINUTE_MS = 60_000


def named(*symbols: str, status: str = "TRADING") -> list[dict[str, object]]:
    return [
        {"symbol": one, "status": status, "baseAsset": one[:-4], "quoteAsset": one[-4:]}
        for one in symbols
    ]


@pytest.fixture
def server() -> Iterator[KlinesServer]:
    begins = {"BTCUSDT": 0, "ETHUSDT": 10, "OLDUSDT": 0, "NEWUSDT": 90}
    series = {
        (symbol, "1m"): candle_frame(
            5, "1m", symbol=symbol, start_ms=JANUARY_2024_MS + day * DAY_MS
        )
        for symbol, day in begins.items()
    }
    with KlinesServer(series, now_ms=NOW_MS) as running:
        running.listed = named(*begins)
        yield running


def refreshed(server: KlinesServer, folder: Path, now_ms: int = NOW_MS) -> Universe:
    rest = BinanceRest(server.url, HASTY)
    found = refresh(rest, folder, now_ms=now_ms, progress=False)
    rest.close()
    return found


def names(listings: list[Listing]) -> list[str]:
    return [one.symbol for one in listings]


def test_a_pair_is_listed_with_its_first_candle(server: KlinesServer, tmp_path: Path) -> None:
    found = refreshed(server, tmp_path)
    listed = {one.symbol: one.listed_ms for one in found.listings}
    assert listed == {
        "BTCUSDT": JANUARY_2024_MS,
        "ETHUSDT": JANUARY_2024_MS + 10 * DAY_MS,
        "NEWUSDT": JANUARY_2024_MS + 90 * DAY_MS,
        "OLDUSDT": JANUARY_2024_MS,
    }
    assert all((r["startTime"], r["limit"]) == ("0", "1") for r in server.requests)
    assert names(found.as_of("2024-01-05")) == ["BTCUSDT", "OLDUSDT"]
    assert names(found.as_of("2024-01-11")) == ["BTCUSDT", "ETHUSDT", "OLDUSDT"]
    assert names(found.as_of("2023-12-31")) == []


def test_what_is_known_is_not_asked_for_again(server: KlinesServer, tmp_path: Path) -> None:
    refreshed(server, tmp_path)
    server.requests.clear()
    before = path_of(tmp_path, "local").read_bytes()
    refreshed(server, tmp_path)
    assert server.requests == []
    assert path_of(tmp_path, "local").read_bytes() == before


def test_a_pair_that_stopped_trading_stays_with_its_end(
    server: KlinesServer, tmp_path: Path
) -> None:
    refreshed(server, tmp_path)
    server.listed = [*named("BTCUSDT", "ETHUSDT", "NEWUSDT"), *named("OLDUSDT", status="BREAK")]
    found = refreshed(server, tmp_path)
    old = found.symbols()["OLDUSDT"]
    assert (old.status, old.ended_ms) == ("BREAK", JANUARY_2024_MS + 5 * MINUTE_MS)
    assert old.existed(JANUARY_2024_MS + MINUTE_MS)
    assert "OLDUSDT" not in names(found.as_of(NOW_MS))
    server.listed = named("BTCUSDT", "ETHUSDT", "NEWUSDT", "OLDUSDT")  # and trades again
    assert refreshed(server, tmp_path).symbols()["OLDUSDT"].ended_ms is None


def test_a_pair_that_is_named_no_more_is_kept_as_gone(server: KlinesServer, tmp_path: Path) -> None:
    refreshed(server, tmp_path, NOW_MS - DAY_MS)
    server.listed = named("BTCUSDT")
    found = refreshed(server, tmp_path)
    assert len(found.listings) == 4
    gone = found.symbols()["ETHUSDT"]
    assert (gone.status, gone.ended_ms) == ("GONE", NOW_MS - DAY_MS)  # when it was seen last
    assert names(found.as_of(NOW_MS)) == ["BTCUSDT"]
    assert "ETHUSDT" in names(found.as_of("2024-02-01"))
    assert read(tmp_path, "local") is not None
    again = refreshed(server, tmp_path)
    assert again.listings == found.listings


def test_dates_that_came_before_trouble_are_kept(
    server: KlinesServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.data.listing_dates._AT_ONCE", 2)
    pages = iter(range(9))

    def trouble(rows: list) -> list:
        return rows if next(pages) < 2 else [["nonsense"]]

    server.rows_changed = trouble
    with pytest.raises(DataError, match="where a candle of 12 fields belongs"):
        refreshed(server, tmp_path)
    kept = read(tmp_path, "local")
    assert kept is not None
    assert [one.dated for one in kept.listings].count(True) == 2
    server.rows_changed = None
    server.requests.clear()
    refreshed(server, tmp_path)
    assert len(server.requests) == 2


def test_a_pair_without_a_candle_never_existed(server: KlinesServer, tmp_path: Path) -> None:
    server.series["OLDUSDT", "1m"] = server.series["OLDUSDT", "1m"].clear()
    found = refreshed(server, tmp_path)
    assert found.symbols()["OLDUSDT"].listed_ms is None
    assert "OLDUSDT" not in names(found.as_of(NOW_MS))


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ([], "names no symbols"),
        ([{"symbol": "X"}], "no pair"),
        ([{"symbol": 7, "status": "T"}], "no pair"),
    ],
)
def test_an_exchange_that_names_nonsense_is_one_clear_error(
    server: KlinesServer, tmp_path: Path, listed: list, message: str
) -> None:
    refreshed(server, tmp_path)
    before = path_of(tmp_path, "local").read_bytes()
    server.listed = listed
    with pytest.raises(ExchangeError, match=message):
        refreshed(server, tmp_path)
    assert path_of(tmp_path, "local").read_bytes() == before


def test_real_exchange_information_is_read_with_its_non_ascii_pairs(tmp_path: Path) -> None:
    folder = shared_path("fixtures/spot-testnet/rest/exchangeInfo")
    told = json.loads(yaml.safe_load(next(folder.glob("*.yaml")).read_text())["body"])
    old = json.loads(shared_path("fixtures/spot-testnet/exchangeInfo_2024-09-08.json").read_text())
    listed = {one["symbol"]: one for one in [*told["symbols"], *old["symbols"]]}
    foreign = [symbol for symbol in listed if not symbol.isascii()]
    assert foreign
    series = {(symbol, "1m"): candle_frame(2, "1m", symbol=symbol) for symbol in listed}
    with KlinesServer(series, now_ms=NOW_MS) as server:
        server.listed = list(listed.values())
        found = refreshed(server, tmp_path)
        page = BinanceRest(server.url, HASTY).first_candle(foreign[0], TIMEFRAMES["1m"])
    assert names(list(found.listings)) == sorted(listed)
    assert all(one.listed_ms == JANUARY_2024_MS for one in found.listings)
    assert page["symbol"][0] == foreign[0]
    assert read(tmp_path, "local").symbols()[foreign[0]].base == listed[foreign[0]]["baseAsset"]


def test_the_local_exchange_tells_its_universe(tmp_path: Path) -> None:
    with LocalExchange(stepped(symbols=("BTCUSDT", "ETHUSDT"), interval="1h")) as exchange:
        rest = BinanceRest(exchange.url, HASTY)
        found = refresh(rest, tmp_path, now_ms=NOW_MS, progress=False)
        first = rest.first_candle("ETHUSDT", TIMEFRAMES["1d"])  # finer than 1h it has none
    assert names(list(found.listings)) == ["BTCUSDT", "ETHUSDT"]
    assert found.symbols()["ETHUSDT"].listed_ms == first["open_time"].to_physical()[0]


def test_stables_and_leveraged_tokens_are_left_out_by_rule() -> None:
    pairs = [
        ("BTC", "USDT"),
        ("BTCUP", "USDT"),
        ("JUP", "USDT"),
        ("USDC", "USDT"),
        ("ETHBULL", "USDT"),
    ]
    pairs += [("ETH", "BTC")]
    listings = tuple(Listing(b + q, b, q, "TRADING", listed_ms=0, dated=True) for b, q in pairs)
    found = Universe("binance", 0, listings, "a test")
    assert names(found.as_of(NOW_MS, quote="USDT")) == ["BTCUSDT", "JUPUSDT"]
    assert len(found.as_of(NOW_MS, plain=False)) == 6


# The largest of a date.


def recorded(folder: Path, volumes: dict[str, tuple[int, float]], *, days: int = 60) -> Places:
    """Record daily candles: each symbol begins on a day and trades so much quote a day."""
    for symbol, (day, volume) in volumes.items():
        frame = candle_frame(
            days - day, "1d", symbol=symbol, start_ms=JANUARY_2024_MS + day * DAY_MS
        )
        frame = frame.with_columns(quote_volume=pl.lit(volume))
        series = Store(folder).series("binance", symbol, TIMEFRAMES["1d"])
        series.add(frame, collected_ms=0)
    return Places(None, folder, None)


VOLUMES = {"BTCUSDT": (0, 100.0), "ETHUSDT": (0, 50.0), "NEWUSDT": (40, 900.0)}


def test_the_largest_are_those_of_the_days_before_and_the_future_is_not_known(
    tmp_path: Path,
) -> None:
    places = recorded(tmp_path, VOLUMES)
    early = top(2, "2024-02-05T12:00Z", places=places, days=10)
    assert early.symbols == ["BTCUSDT", "ETHUSDT"]  # NEWUSDT begins on 2024-02-10
    assert early.table["quote_volume"].to_list() == [1_000.0, 500.0]
    assert early.table["days"].to_list() == [10, 10]
    late = top(2, "2024-02-12T12:00Z", places=places, days=10)
    assert late.symbols == ["NEWUSDT", "BTCUSDT"]
    assert late.table["quote_volume"].to_list() == [1_800.0, 1_000.0]  # two closed days
    poisoned = recorded(tmp_path / "poisoned", VOLUMES, days=36)  # nothing after 2024-02-05
    assert top(2, "2024-02-05T12:00Z", places=poisoned, days=10).symbols == early.symbols


def test_a_set_that_was_chosen_today_says_so(tmp_path: Path) -> None:
    places = recorded(tmp_path, VOLUMES)
    assert (
        "3 pairs recorded here, which somebody chose knowing their future"
        in universe(places=places).source
    )
    assert "knowing their future" in top(1, "2024-02-05", places=places).note


def test_a_pair_that_existed_and_is_not_recorded_might_be_the_largest(tmp_path: Path) -> None:
    places = recorded(tmp_path, VOLUMES)
    told = [
        Listing(s, s[:-4], "USDT", "TRADING", JANUARY_2024_MS, dated=True)
        for s in ("BTCUSDT", "ETHUSDT")
    ]
    told += [Listing("DEADUSDT", "DEAD", "USDT", "BREAK", JANUARY_2024_MS, NOW_MS, dated=True)]
    from workbench.data.universe import write

    write(tmp_path, Universe("binance", NOW_MS, tuple(told), ""))
    with pytest.raises(
        DataError, match=r"1 of the 3 pairs .* --symbols DEADUSDT --intervals 1d --since"
    ):
        top(2, "2024-02-05", places=places)
    allowed = top(2, "2024-02-05", places=places, allow_unmeasured=True)
    assert (allowed.symbols, allowed.unmeasured) == (["BTCUSDT", "ETHUSDT"], ("DEADUSDT",))
    assert "1 pairs that existed then are not recorded" in allowed._repr_html_()


def test_without_quote_volume_it_is_estimated_and_said(tmp_path: Path) -> None:
    frame = candle_frame(40, "1d", raw=False)
    Store(tmp_path).series("binance", "BTCUSDT", TIMEFRAMES["1d"]).add(frame, collected_ms=0)
    found = top(1, "2024-01-11", days=5, places=Places(None, tmp_path, None))
    inside = frame.slice(5, 5)
    assert found.table["estimated"].to_list() == [True]
    assert found.table["quote_volume"][0] == pytest.approx(
        (inside["volume"] * inside["close"]).sum()
    )


def test_the_recorded_pairs_are_ranked_as_a_plain_reading_of_the_file_ranks_them(
    shared_data: Path,
) -> None:
    days = pl.read_parquet(shared_data / "klines_1d.parquet")
    for date in ("2021-01-01", "2023-06-15", "2025-10-01"):
        at = pl.lit(date).str.to_datetime(time_unit="ms", time_zone="UTC")
        before = days.filter(
            pl.col("open_time") < at, pl.col("open_time") >= at.dt.offset_by("-30d")
        )
        sums: dict[str, float] = {}
        for symbol, volume in before.select("symbol", "quote_volume").iter_rows():
            sums[symbol] = sums.get(symbol, 0.0) + volume
        due = sorted(sums, key=lambda one: -sums[one])[:3]
        found = top(3, date, places=Places(shared_data, None, None))
        assert found.symbols == due
        assert found.table["quote_volume"].to_list() == pytest.approx([sums[one] for one in due])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"count": 0}, UsageError, "both must be at least 1"),
        ({"as_of": "soon"}, UsageError, "as_of='soon' is not a time"),
        (
            {"as_of": "2019-01-01"},
            DataError,
            "no USDT pair of binance existed at 2019-01-01T00:00Z",
        ),
        ({"quote": "EUR"}, DataError, "no EUR pair of binance existed"),
    ],
)
def test_a_ranking_that_cannot_be_is_refused(
    tmp_path: Path, arguments: dict, error: type, message: str
) -> None:
    places = recorded(tmp_path, VOLUMES)
    asked = {"count": 2, "as_of": "2024-02-05", "places": places} | arguments
    with pytest.raises(error, match=message):
        top(asked.pop("count"), asked.pop("as_of"), **asked)


def test_a_spoilt_universe_is_one_clear_error(tmp_path: Path) -> None:
    path = path_of(tmp_path, "binance")
    path.parent.mkdir(parents=True)
    path.write_text('{"symbols": [{"nonsense": 1}], "taken_ms": 1, "taken": ""}')
    with pytest.raises(DataError, match=r"delete symbols\.json in its folder and run"):
        universe(places=Places(None, tmp_path, None))


def test_the_command_refreshes_shows_and_ranks(
    server: KlinesServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.cli.sources.wall_ms", lambda: NOW_MS)
    monkeypatch.setattr("workbench.cli.universe.wall_ms", lambda: NOW_MS)
    words = ["universe", "--store", str(tmp_path)]
    run = CliRunner().invoke(data_app, [*words, "--refresh", "--base-url", server.url, "--json"])
    assert run.exit_code == 0, run.output
    told = json.loads(run.stdout)
    assert told["note"].startswith("4 pairs of local existed at 2024-04-10T00:00Z (exchangeInfo")
    assert told["symbols"][0] == {
        "symbol": "BTCUSDT", "listed": "2024-01-01T00:00Z", "ended": None, "status": "TRADING",
    }  # fmt: skip
    run = CliRunner().invoke(data_app, [*words, "--venue", "local", "--as-of", "2024-01-05"])
    assert [line.split()[0] for line in run.stdout.splitlines()[1:]] == ["BTCUSDT", "OLDUSDT"]
    run = CliRunner().invoke(data_app, [*words, "--venue", "local", "--as-of", "2099-01-05"])
    assert "--as-of 2099-01-05T00:00Z lies in the future" in str(run.exception)
    recorded(tmp_path / "recorded", VOLUMES)
    words = [
        "universe",
        "--store",
        str(tmp_path / "recorded"),
        "--top",
        "1",
        "--as-of",
        "2024-02-05",
    ]
    (first,) = json.loads(CliRunner().invoke(data_app, [*words, "--json"]).stdout)["symbols"]
    assert (first["symbol"], first["listed"]) == ("BTCUSDT", "2024-01-01T00:00Z")
    line = CliRunner().invoke(data_app, words).stdout.splitlines()[1]
    assert f"{first['quote_volume']:,.0f} USDT in {first['days']} days" in line
    run = CliRunner().invoke(data_app, ["universe", "--base-url", server.url])
    assert "--base-url goes with --refresh" in str(run.exception)


def test_an_exchange_that_is_down_leaves_the_stored_universe(
    server: KlinesServer, tmp_path: Path
) -> None:
    refreshed(server, tmp_path)
    server.listed = named("BTCUSDT", "ETHUSDT", "OLDUSDT", "NEWUSDT", "XRPUSDT")
    server.faults.extend([Fault(status=503)] * 3)
    with pytest.raises(ExchangeError, match="gave up after 3 attempts, the last: HTTP 503"):
        refreshed(server, tmp_path)
    kept = read(tmp_path, "local")
    assert kept is not None
    assert names(kept.as_of(NOW_MS)) == ["BTCUSDT", "ETHUSDT", "NEWUSDT", "OLDUSDT"]
