"""The system's Chromium for browser tests, fenced in on loopback, and where its screenshots go."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "dashboard"))  # the fake bridge

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder as one that drives the browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@dataclass
class Tab:
    """A page of the browser, with all that it tried to reach and all that went wrong in it."""

    page: object
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Return the folder for screenshots: WORKBENCH_SCREENSHOTS, or screenshots/ in the checkout."""
    folder = Path(os.environ.get("WORKBENCH_SCREENSHOTS") or ROOT / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Start the system's Chromium, or skip with the way to get it."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: `make setup`")
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("needs Chromium: `apt-get install chromium`, or any of " + " ".join(NAMES))
    with playwright.sync_playwright() as session:
        chromium = session.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def tab(browser: object) -> Iterator[Tab]:
    """Open a page that can reach loopback only and remembers every other attempt."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})  # type: ignore[attr-defined]
    opened = Tab(context.new_page())

    def fence(route: object) -> None:
        url = route.request.url  # type: ignore[attr-defined]
        if is_inside(url):
            route.continue_()  # type: ignore[attr-defined]
        else:
            opened.outside.append(url)
            route.abort()  # type: ignore[attr-defined]

    def hear(message: object) -> None:
        if message.type == "error":  # type: ignore[attr-defined]
            opened.errors.append(message.text)  # type: ignore[attr-defined]

    context.route("**/*", fence)
    page = opened.page
    page.on("websocket", lambda s: None if is_inside(s.url) else opened.outside.append(s.url))  # type: ignore[attr-defined]
    page.on("console", hear)  # type: ignore[attr-defined]
    page.on("pageerror", lambda error: opened.errors.append(str(error)))  # type: ignore[attr-defined]
    yield opened
    context.close()


def is_inside(url: str) -> bool:
    """Tell whether a request stays on this machine's loopback, or needs no network at all."""
    parts = urlsplit(url)
    return parts.scheme in ("data", "blob") or parts.hostname == "127.0.0.1"
