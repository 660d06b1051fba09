"""The health of a series as a page for notebooks: verdict, numbers, findings, gap map, gaps.

Everything is one piece of HTML with its own small styles: no script, nothing loaded, and the colours
of the text around it, so it reads in light and dark and stays whole when it is exported.
"""

from __future__ import annotations

from html import escape

from workbench.data.gap_map import calendar
from workbench.data.quality import Finding, Report
from workbench.market.timeframes import parse_timeframe

_MOST_GAPS = 40
_STYLE = """<style>
.candle-health{font:13px/1.45 system-ui,sans-serif;max-width:900px}
.candle-health h4{margin:.2em 0;font-size:1.15em}
.candle-health .said{opacity:.7;margin:0 0 .6em}
.candle-health .verdict{display:inline-block;padding:.1em .6em;border-radius:.8em;color:#fff;font-weight:600}
.candle-health .numbers{display:flex;flex-wrap:wrap;gap:.3em 1.6em;margin:.6em 0}
.candle-health .numbers b{display:block;font-size:1.15em;font-variant-numeric:tabular-nums}
.candle-health table{border-collapse:collapse;margin:.4em 0;font-size:inherit}
.candle-health td,.candle-health th{text-align:left;padding:.15em .9em .15em 0;vertical-align:top;
border-bottom:1px solid rgba(128,128,128,.25)}
.candle-health td.time{white-space:nowrap;font-variant-numeric:tabular-nums}
.candle-health .error{color:#d8434e;font-weight:600}.candle-health .warning{color:#b45309;font-weight:600}
</style>"""


def page_of(report: Report, *, symbol: str, interval: str, source: str) -> str:
    """Return the page of a series' report as HTML."""
    shown = report.as_dict()
    numbers = {
        "candles": f"{report.rows:,}",
        "first": str(shown["first"]),
        "last": str(shown["last"]),
        "gaps": f"{len(report.gaps):,}",
        "candles missing": f"{report.missing:,}",
        "errors": f"{len(report.errors)}",
        "warnings": f"{len(report.warnings)}",
    }
    cells = "".join(
        f"<div>{escape(name)}<b>{escape(text)}</b></div>" for name, text in numbers.items()
    )
    return (
        f'{_STYLE}<div class="candle-health"><h4>{escape(symbol)} {escape(interval)} '
        f'{_verdict(report)}</h4><p class="said">{escape(source)}</p>'
        f'<div class="numbers">{cells}</div>{_findings(report)}'
        f"{calendar(report, parse_timeframe(interval)).svg() if report.rows else ''}"
        f"{_gaps(report)}</div>"
    )


def _verdict(report: Report) -> str:
    if report.errors:
        said, colour = "cannot be used", "#d8434e"
    elif report.warnings:
        said, colour = "usable, with a look at the warnings", "#b45309"
    else:
        said, colour = "healthy", "#0f9d76"
    return f'<span class="verdict" style="background:{colour}">{said}</span>'


def _findings(report: Report) -> str:
    found = [("error", one) for one in report.errors]
    found += [("warning", one) for one in report.warnings]
    if not found:
        return ""
    rows = "".join(_finding(grade, one) for grade, one in found)
    return f"<table><tr><th></th><th>kind</th><th>count</th><th>what</th></tr>{rows}</table>"


def _finding(grade: str, one: Finding) -> str:
    return (
        f'<tr><td class="{grade}">{grade}</td><td>{escape(one.kind)}</td><td>{one.count:,}</td>'
        f"<td>{escape(one.message)}</td></tr>"
    )


def _gaps(report: Report) -> str:
    gaps = report.as_dict()["gaps"]
    if not isinstance(gaps, list) or not gaps:
        return ""
    rows = "".join(
        f'<tr><td class="time">{gap["first_missing"]}</td><td class="time">{gap["last_missing"]}</td>'
        f"<td>{gap['bars']:,}</td>"
        f"<td>{escape(str(gap['cause']))}</td></tr>"
        for gap in gaps[:_MOST_GAPS]
    )
    more = len(gaps) - _MOST_GAPS
    told = f'<p class="said">and {more:,} more gaps</p>' if more > 0 else ""
    heads = "<tr><th>first missing</th><th>last missing</th><th>candles</th><th>cause</th></tr>"
    return f"<table>{heads}{rows}</table>{told}"
