"""`workbench dashboard`: serve the Voila page on loopback until Ctrl-C."""

from __future__ import annotations

import json as json_text
import webbrowser
from typing import Annotated

import typer

from bridge.dashboard.voila_page import VoilaPage, launch_voila

__all__ = ["VoilaPage", "dashboard", "launch_voila"]


def dashboard(
    port: Annotated[
        int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65_535)
    ] = 0,
    open_browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print url and pid as one JSON line.")
    ] = False,
) -> None:
    """Serve the dashboard; closing it, or its pages, changes nothing for running instances."""
    page = launch_voila(port=port)
    try:
        if json:
            print(json_text.dumps({"url": page.url, "pid": page.pid}), flush=True)
        else:
            print(f"Dashboard: {page.url}\nCtrl-C ends the page; instances trade on.", flush=True)
        if open_browser:
            webbrowser.open(page.url)
        page.process.wait()
    except KeyboardInterrupt:
        pass
    finally:
        page.stop()
