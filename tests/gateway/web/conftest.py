from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A name of a network, on this machine: to a browser its plain http is not a secure context.
    "--host-resolver-rules=MAP shelf.test 127.0.0.1",
]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A real Chromium."""
    executable = next((found for name in NAMES if (found := shutil.which(name))), None)
    if executable is None:
        pytest.skip("Chromium is missing: apt-get install chromium")
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS + as_root)
        yield launched
        launched.close()


@dataclass
class Visit:
    """A page under watch: what it asked for, and what it complained of."""

    page: Page
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._hear)

    def _hear(self, message: Any) -> None:
        # A refused request is told by Chromium itself; everything else is ours.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)


@pytest.fixture
def visit(browser: Browser, shots: Path) -> Iterator[Callable[..., Visit]]:
    """Opens a page in a context of its own; afterwards it has complained of nothing."""
    contexts: list[BrowserContext] = []
    visits: list[Visit] = []

    def opened(url: str, width: int = 1280, **options: Any) -> Visit:
        settings = {"locale": "en", "timezone_id": "Europe/Paris", "color_scheme": "light"} | options
        context = browser.new_context(viewport={"width": width, "height": 900}, **settings)
        context.set_default_timeout(10_000)
        contexts.append(context)
        made = Visit(context.new_page())
        made.watch()
        visits.append(made)
        made.page.goto(url)
        return made

    yield opened
    for context in contexts:
        context.close()
    assert [complaint for made in visits for complaint in made.complaints] == []


@pytest.fixture(scope="session")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures of the page are laid."""
    chosen = os.environ.get("PASSERELLE_TEST_SHOTS")
    if not chosen:
        return tmp_path_factory.mktemp("shots")
    Path(chosen).mkdir(parents=True, exist_ok=True)
    return Path(chosen)
