"""The page that reports and their index are written on: one file, no script, nothing loaded.

A content security policy forbids whatever the text does not already carry, so the page looks the
same with the network off and a name that contains markup stays a name.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

POLICY: Final = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)
LOADING_ATTRIBUTES: Final = frozenset({"src", "srcset", "poster", "data", "background", "action"})
LINK_RELATIONS_THAT_LOAD: Final = frozenset(
    {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "preconnect", "dns-prefetch"}
)
STYLE: Final = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")


def page(*, title: str, body: str, theme: str = "auto") -> str:
    """Return a whole page; the title is text and is escaped, the body is markup and is not."""
    return (
        f'<!doctype html>\n<html lang="en" data-theme="{html.escape(theme)}">\n<head>\n'
        '<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def chips(pairs: Iterable[tuple[str, str]]) -> str:
    """Return named values as a row of small labels; names and values are escaped."""
    labels = (
        f'<span class="chip"><b>{html.escape(name)}</b> {html.escape(value)}</span>'
        for name, value in pairs
    )
    return f'<div class="chips">{"".join(labels)}</div>'


def external_loads(text: str) -> list[str]:
    """Return every address that a browser would fetch for this page; a sound page has none."""
    reader = _Loads()
    reader.feed(text)
    reader.close()
    return reader.found


class _Loads(HTMLParser):
    """Collects what is loaded: sources, loading links, scripts, frames, CSS imports and urls."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self._in_style = tag == "style"
        self.found += [
            f"{tag} {name}={value[:80]}"
            for name, value in values.items()
            if name in LOADING_ATTRIBUTES and not value.startswith("data:")
        ]
        if tag == "link" and LINK_RELATIONS_THAT_LOAD & set(values.get("rel", "").lower().split()):
            self.found.append(f"link href={values.get('href', '')[:80]}")
        if tag in ("script", "iframe", "object", "embed"):
            self.found.append(tag)
        self._look_into_style(values.get("style", ""))

    def handle_endtag(self, tag: str) -> None:
        self._in_style = self._in_style and tag != "style"

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self._look_into_style(data)

    def _look_into_style(self, text: str) -> None:
        lowered = text.lower()
        if "@import" in lowered:
            self.found.append("css @import")
        for piece in lowered.split("url(")[1:]:
            if not piece.strip(" \"'").startswith(("data:", "#")):
                self.found.append(f"css url({piece[:80]}")
