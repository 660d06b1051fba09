"""The two faces of every picture, light and dark, and the figure that wears them.

A `Chart` is a matplotlib figure made without pyplot: nothing global is touched, nothing is left
open, and it shows itself in a notebook as a picture of twice the density with its width noted.
"""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from typing import Final

from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workbench.errors import UsageError

SCREEN_DPI: Final = 100
PICTURE_DPI: Final = 200
FONTS: Final = ("Inter", "Source Sans 3", "Helvetica Neue", "Arial", "Liberation Sans")


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a page; each has one meaning wherever it appears."""

    name: str
    paper: str
    panel: str
    ink: str
    muted: str
    grid: str
    strategy: str
    benchmark: str
    up: str
    down: str
    warning: str


LIGHT: Final = Theme(
    name="light",
    paper="#ffffff",
    panel="#f6f7f9",
    ink="#14181f",
    muted="#687385",
    grid="#e7eaee",
    strategy="#2456d6",
    benchmark="#8a95a5",
    up="#0f9d76",
    down="#d8434e",
    warning="#b45309",
)
DARK: Final = Theme(
    name="dark",
    paper="#11161d",
    panel="#1a212b",
    ink="#e8ecf2",
    muted="#8d99aa",
    grid="#252e3a",
    strategy="#7aa7ff",
    benchmark="#7d8999",
    up="#35c796",
    down="#ff6f76",
    warning="#f2b45c",
)
THEMES: Final = {theme.name: theme for theme in (LIGHT, DARK)}


class Chart(Figure):
    """A figure that shows itself in notebooks and exported pages without pyplot."""

    def png(self) -> bytes:
        """Draw the chart as a PNG of twice the screen's density."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=PICTURE_DPI, facecolor=self.get_facecolor())
        return buffer.getvalue()

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, bytes], dict[str, dict[str, int]]]:
        width, height = self.get_size_inches() * SCREEN_DPI
        size = {"width": int(width), "height": int(height)}
        return {"image/png": self.png()}, {"image/png": size}


def theme_named(name: str | Theme) -> Theme:
    """Return the theme of that name; UsageError for another name."""
    if isinstance(name, Theme):
        return name
    if name not in THEMES:
        raise UsageError(f"theme {name!r} is unknown; use one of {', '.join(THEMES)}")
    return THEMES[name]


def new_chart(theme: Theme, *, width: float = 10.0, height: float = 5.6) -> Chart:
    """Return an empty chart of that size in inches on the theme's paper."""
    return Chart(figsize=(width, height), dpi=SCREEN_DPI, facecolor=theme.paper)


def write_heading(chart: Chart, theme: Theme, title: str, subtitle: str, source: str) -> None:
    """Write title and subtitle at the top left; a synthetic source is said aloud at the right."""
    height = float(chart.get_size_inches()[1])
    write(chart, 0.012, 1 - 0.24 / height, title, theme.ink, size=13.5, weight="bold")
    write(chart, 0.012, 1 - 0.50 / height, subtitle, theme.muted, size=9.5)
    if source.startswith("SYNTHETIC"):
        style = {"boxstyle": "round,pad=0.45", "facecolor": theme.warning, "edgecolor": "none"}
        chart.text(
            0.988, 1 - 0.27 / height, source, ha="right", va="center", bbox=style,
            color=theme.paper, fontsize=8.5, fontweight="bold", fontfamily=font_family(),
        )  # fmt: skip
    elif source:
        write(chart, 0.988, 1 - 0.24 / height, source, theme.muted, size=8.5, align="right")


def write(
    chart: Chart,
    x: float,
    y: float,
    text: str,
    colour: str,
    *,
    size: float = 9.0,
    weight: str = "normal",
    align: str = "left",
) -> None:
    """Write text at figure coordinates in the report's face; dollar signs stay dollar signs."""
    chart.text(
        x, y, text, color=colour, fontsize=size, fontweight=weight, ha=align, va="center",
        fontfamily=font_family(), parse_math=False,
    )  # fmt: skip


def dress(axis: Axes, theme: Theme, *, ticks_right: bool = False) -> Axes:
    """Give an axis the house style: no frame, quiet grid, muted labels."""
    axis.set_facecolor(theme.paper)
    for spine in axis.spines.values():
        spine.set_visible(False)
    axis.grid(visible=True, axis="y", color=theme.grid, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(
        colors=theme.muted, length=0, labelsize=8.5, pad=5, labelfontfamily=font_family()
    )
    axis.xaxis.get_offset_text().set(color=theme.muted, fontsize=8.5, fontfamily=font_family())
    if ticks_right:
        axis.yaxis.tick_right()
    return axis


@functools.cache
def font_family() -> str:
    """Return the first of the preferred faces that this machine has."""
    installed = set(font_manager.get_font_names())
    return next((name for name in FONTS if name in installed), "DejaVu Sans")
