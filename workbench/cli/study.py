"""`workbench study FILE.toml`: symbols x intervals x windows x strategies x parameter sets."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from workbench.cli import options
from workbench.errors import UsageError

if TYPE_CHECKING:
    from workbench.backtest.verdict.quick import QuickVerdict
    from workbench.face.research import Study

_TOP = {
    "title", "symbols", "intervals", "windows", "strategies", "costs", "all_history", "exits", "guards",
    "columns",
}  # fmt: skip
_STRATEGY = {"name", "sets", "grid"}
_COSTS = {"fee_bps", "slippage_bps", "cash", "filters"}


def study(
    file: Annotated[Path, typer.Argument(help="The study as a TOML file.")],
    out: Annotated[Path | None, typer.Option(help="Stream all rows to this parquet file.")] = None,
    resume: options.Resume = False,
    by: Annotated[
        str, typer.Option(help="Rank by symbol, interval, window, strategy or params.")
    ] = "params",
    metric: Annotated[
        str, typer.Option(help="What is averaged and ranked, one of the columns too.")
    ] = "total_return",
    columns: Annotated[
        str, typer.Option(help="Metrics beside the usual, instead of the file's: all, or e.g. sqn.")
    ] = "",
    top: Annotated[int, typer.Option(help="Rows to show.", min=1)] = 10,
    as_json: options.AsJson = False,
) -> None:
    """Run a study: one row a backtest, ranked; --out keeps the rows, --resume goes on with them."""
    import workbench as wb
    from workbench.backtest.detail_columns import detail_names
    from workbench.backtest.results import demand_metric
    from workbench.backtest.study.result import KEYS

    if by not in KEYS:
        raise UsageError(f"--by {by!r} is no key; rank by one of {', '.join(KEYS)}")
    settings = read_study(file)
    if columns:
        settings["columns"] = columns
    more = detail_names(cast("list[str]", settings["columns"]))
    demand_metric(metric, more, "study")  # before anything runs
    with options.resumable(out, resume=resume):
        result = wb.study(**settings, out=out, resume=resume, progress=sys.stderr.isatty())  # type: ignore[arg-type]
    from workbench.backtest.verdict import quick as quick_verdict

    luck = quick_verdict.of_study(result)
    if as_json:
        found = {"quick_verdict": luck.to_dict() if luck else None}
        typer.echo(json.dumps(result.summary(metric) | found))
        return
    _print(result, by, metric, top, luck)


def read_study(file: Path) -> dict[str, object]:
    """Return a study's file as the arguments of `wb.study`.

    Raises UsageError for a file that cannot be read, an unknown key or a missing one.
    """
    tree = options.read_toml(file)
    options.demand_keys(tree, _TOP, file.name)
    for name in ("symbols", "intervals", "strategies"):
        if not isinstance(tree.get(name), list) or not tree[name]:
            raise UsageError(
                f"{file.name} needs a list {name!r}; see notebooks/studies/headline.toml"
            )
    costs = options.demand_keys(tree.get("costs", {}), _COSTS, f"{file.name} [costs]")
    from workbench import strategies

    named = [_strategy(one, file.name) for one in cast("list[object]", tree["strategies"])]
    return {
        "symbols": tree["symbols"],
        "intervals": tree["intervals"],
        "windows": tree.get("windows"),
        "strategy": [strategies.load(name) for name, _ in named],
        "params": dict(named),
        "all_history": tree.get("all_history", False),
        "exits": tree.get("exits"),
        "guards": tree.get("guards"),
        "title": tree.get("title", file.stem),
        "columns": tree.get("columns", ()),
        **costs,
    }


def _strategy(tree: object, file: str) -> tuple[str, object]:
    if not isinstance(tree, dict) or not isinstance(tree.get("name"), str):
        raise UsageError(f"{file}: each of [[strategies]] needs a name")
    options.demand_keys(tree, _STRATEGY, f"{file} [[strategies]] {tree['name']}")
    if "sets" in tree and "grid" in tree:
        raise UsageError(f"{file}: {tree['name']} has both sets and grid; keep one")
    if "grid" not in tree:
        return tree["name"], tree.get("sets")
    return tree["name"], {name: _axis(name, axis) for name, axis in tree["grid"].items()}


def _axis(name: str, axis: object) -> object:
    return options.parse_grid(f"{name}={axis}")[name] if isinstance(axis, str) else axis


def _print(result: Study, by: str, metric: str, top: int, luck: QuickVerdict | None) -> None:
    from workbench.backtest.results import shown
    from workbench.cli.tables import print_rows

    ranked = result.ranking(by, metric)
    keys = [name for name in ("strategy", "params", by) if name in ranked.columns]
    keys = list(dict.fromkeys(keys))
    figures = [name for name in ranked.columns if name not in (*keys, "tests")]
    rows = [
        [str(row[k]) for k in keys]
        + [f"{row['tests']:,}"]
        + [shown(_KINDS.get(n, metric), row[n]) for n in figures]
        for row in ranked.head(top).iter_rows(named=True)
    ]
    caution = f"the best of {len(result):,} tries is high by luck alone: read means, not peaks"
    judged = (luck.said(), *luck.notes) if luck else ()
    print_rows(
        result.title,
        [*keys, "tests", *figures],
        rows,
        left=len(keys),
        notes=(" + ".join(result.sources), caution, *judged),
    )


_KINDS = {"earned": "win_rate", "beat_holding": "win_rate", "holding": "total_return"}
