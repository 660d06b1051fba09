"""A report run is whole or it is not there; one that failed says so, everywhere."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import pytest

from tests.report.notebook_builder import write_report
from workbench.errors import DataError, UsageError
from workbench.report.execute import Limits
from workbench.report.index import refresh_index, runs
from workbench.report.page import external_loads
from workbench.report.record import read_record, write_record
from workbench.report.runner import ReportRun, find_report, run_report

NOW = datetime(2025, 3, 1, 6, 30, tzinfo=UTC)
FOUND = """from workbench.report.findings import findings
findings(total_return=0.25, trades=4, sharpe=float("nan"), source="SYNTHETIC <b>", data_sha256="ab" * 32)"""
ENVIRONMENT = "import os\nprint(sorted(os.environ), os.getcwd())"
Run = Callable[..., ReportRun]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of report notebooks, good and bad."""
    folder = tmp_path_factory.mktemp("notebooks")
    parameters = 'symbol = "BTCUSDT"\nfast = 12'
    write_report(
        folder, "good", "symbol + '/' + str(fast)", ENVIRONMENT, FOUND, parameters=parameters
    )
    write_report(folder, "failing", "1 / 0  # <script>alert(1)</script>", "print('never')")
    write_report(folder, "dying", "import os\nos._exit(9)")
    write_report(folder, "slow", "import time\ntime.sleep(90)")
    write_report(folder, "loading", "M <img src='https://elsewhere.example/a.png'>")
    return folder


@pytest.fixture
def run(reports: Path, tmp_path: Path) -> Run:
    """Return run_report on these notebooks, into a folder of this test."""

    def call(name: str, **options: object) -> ReportRun:
        given = {"notebooks": reports, "out": tmp_path / "reports", "now": NOW} | options
        return run_report(name, **given)  # type: ignore[arg-type]

    return call


@pytest.fixture(scope="module")
def good(reports: Path, tmp_path_factory: pytest.TempPathFactory) -> ReportRun:
    """Run the good report once, with secrets in the environment and a name that is markup."""
    out = tmp_path_factory.mktemp("out")
    os.environ["EXCHANGE_SECRET_KEY"] = "canary-8d1f"
    try:
        return run_report(
            "good", parameters={"symbol": "<img src=x>", "fast": 7}, out=out, now=NOW,
            notebooks=reports,
        )  # fmt: skip
    finally:
        del os.environ["EXCHANGE_SECRET_KEY"]


def test_a_good_run_lies_under_its_name_and_time_with_page_notebook_and_record(
    good: ReportRun,
) -> None:
    assert good.ok
    assert good.folder.parts[-2:] == ("good", "2025-03-01T06-30-00Z")
    assert sorted(p.name for p in good.folder.iterdir()) == ["good.html", "good.ipynb", "run.json"]


def test_the_record_tells_parameters_findings_times_and_versions(good: ReportRun) -> None:
    fields = json.loads((good.folder / "run.json").read_text())
    assert fields["parameters"] == {"symbol": "<img src=x>", "fast": 7}
    assert list(fields["findings"].items())[:3] == [
        ("total_return", 0.25), ("trades", 4), ("sharpe", None),
    ]  # fmt: skip
    assert fields["findings"]["data_sha256"] == "ab" * 32
    assert fields["started"] == "2025-03-01T06:30:00+00:00"
    assert {"python", "numpy", "numba", "polars", "papermill"} <= set(fields["versions"])
    assert len(fields["cell_seconds"]) == 5
    assert read_record(good.folder) == good.record


def test_parameters_reach_the_notebook(good: ReportRun) -> None:
    notebook = nbformat.read(good.notebook, as_version=4)
    assert "'<img src=x>/7'" in json.dumps(notebook.cells[3].outputs)


def test_the_page_loads_nothing_and_escapes_what_it_is_given(good: ReportRun) -> None:
    text = good.html.read_text()
    assert external_loads(text) == []
    assert "&lt;img src=x&gt;" in text
    assert "SYNTHETIC &lt;b&gt;" in text


def test_no_secret_of_the_caller_and_no_path_of_the_machine_reaches_a_report(
    good: ReportRun, reports: Path
) -> None:
    for path in good.folder.iterdir():
        assert "canary-8d1f" not in path.read_text()
        assert "EXCHANGE_SECRET_KEY" not in path.read_text()
    metadata = nbformat.read(good.notebook, as_version=4).metadata["papermill"]
    assert (metadata["input_path"], metadata["output_path"]) == ("good.ipynb", "good.ipynb")


def test_a_notebook_works_in_its_own_folder(good: ReportRun, reports: Path) -> None:
    outputs = nbformat.read(good.notebook, as_version=4).cells[4].outputs
    assert str(reports) in outputs[0]["text"]


def test_a_failing_cell_gives_a_failed_run_that_says_where(run: Run) -> None:
    failed = run("failing")
    assert not failed.ok
    assert failed.record.error == "code cell 3 of 4: ZeroDivisionError: division by zero"
    page, index = failed.html.read_text(), failed.index.read_text()
    assert "This report failed." in page
    assert "alert(1)</script>" not in page
    assert external_loads(page) == []
    assert 'class="status failed"' in index
    assert "ZeroDivisionError" in index


async def test_a_killed_kernel_gives_a_failed_run_inside_a_running_loop_too(run: Run) -> None:
    died = run("dying")
    assert died.record.error == "code cell 3 of 3: the kernel died"
    assert died.html.exists()


def test_a_cell_that_takes_too_long_is_stopped(run: Run) -> None:
    began = time.monotonic()
    stopped = run("slow", limits=Limits(cell=1))
    assert time.monotonic() - began < 45
    assert stopped.record.error == "code cell 3 of 3: a cell ran longer than 1 s and was stopped"


def test_a_page_that_would_load_from_elsewhere_is_a_failed_run(run: Run) -> None:
    assert str(run("loading").record.error).startswith("the page would load img src=https://else")


@pytest.mark.parametrize(
    "name", ["../good", "/etc/passwd", "good/../good", "", "Good", ".good", "a b"]
)
def test_a_name_that_is_not_plain_is_refused(run: Run, name: str) -> None:
    with pytest.raises(UsageError, match="is not a plain name"):
        run(name)


def test_an_unknown_report_or_parameter_is_refused_before_anything_is_written(
    run: Run, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="report 'weekly' is unknown; use one of dying, failing"):
        run("weekly")
    with pytest.raises(UsageError, match="parameter 'slow' is unknown; the notebook has symbol"):
        run("good", parameters={"slow": 1})
    assert not (tmp_path / "reports").exists()


def test_a_run_is_never_overwritten(run: Run, tmp_path: Path) -> None:
    (tmp_path / "reports" / "failing" / "2025-03-01T06-30-00Z").mkdir(parents=True)
    with pytest.raises(UsageError, match="exists already and is never overwritten"):
        run("failing")


def test_a_place_that_cannot_be_written_is_one_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("stands in the way")
    with pytest.raises(UsageError, match=r"cannot be written into .*; make room and give yourself"):
        run("failing", out=tmp_path / "file" / "reports")


def test_a_run_that_was_killed_half_way_is_no_run(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "reports"
    half = out / "good" / ".part-2025-03-01T06-30-00Z-1"
    half.mkdir(parents=True)
    (half / "good.html").write_text("<h1>half")
    (half / "run.json").write_text('{"format": 1, "name": "good", "status": "ok"')
    torn = out / "good" / "2025-03-01T07-30-00Z"
    torn.mkdir()
    (torn / "run.json").write_text('{"format": 1, "name": "good", "status": "ok"')
    refresh_index(out)
    assert runs(out) == []
    with pytest.raises(DataError, match="is not the record of a run"):
        read_record(torn)


def test_an_interrupted_run_leaves_nothing_behind(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("workbench.report.runner.to_page", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run("failing")
    assert list((tmp_path / "reports" / "failing").iterdir()) == []


def test_the_index_lists_the_newest_first_and_links_every_page(
    good: ReportRun, tmp_path: Path
) -> None:
    for day in (1, 3, 2):
        folder = tmp_path / f"name{day}" / f"2025-04-0{day}T00-00-00Z"
        folder.mkdir(parents=True)
        started = f"2025-04-0{day}T00:00:00+00:00"
        write_record(folder, replace(good.record, name=f"name{day}", started=started))
    text = refresh_index(tmp_path).read_text()
    assert [record.name for _, record in runs(tmp_path)] == ["name3", "name2", "name1"]
    places = [text.index(f'href="name{d}/2025-04-0{d}T00-00-00Z/name{d}.html"') for d in (3, 2, 1)]
    assert places == sorted(places)
    assert "3 runs, newest first" in text
    assert "total return +25.0 %" in text
    assert text.count('class="synthetic"') == 3
    assert external_loads(text) == []


def test_an_index_without_runs_says_how_to_make_one(tmp_path: Path) -> None:
    assert "workbench report daily" in refresh_index(tmp_path / "new").read_text()


def test_the_projects_own_daily_report_is_found() -> None:
    assert find_report("daily").name == "daily.ipynb"
