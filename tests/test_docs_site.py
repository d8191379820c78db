"""The documentation as web pages: a strict build, links that lead somewhere, no request to another host."""

from __future__ import annotations

import posixpath
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("zensical", reason="the extra docs is not installed (pip install '.[docs]')")

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WAIT_MS = 120_000
#: Elements that a browser fetches by itself, and the attribute that names what.
FETCHED = {"script": "src", "img": "src", "iframe": "src", "video": "src", "source": "src", "link": "href"}
NO_PAGE = {"404.html"}  # links to what lies at the root of a server


@dataclass
class Page(HTMLParser):
    """Links, anchors and fetched files of a page."""

    links: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    fetched: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    @classmethod
    def of(cls, path: Path) -> Page:
        page = cls()
        page.feed(path.read_text(encoding="utf-8"))
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors.add(values.get("id", ""))
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if values.get(FETCHED.get(tag, "")):
            self.fetched.append(values[FETCHED[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built pages."""
    copy = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "docs", copy / "docs")
    shutil.copy(ROOT / "zensical.toml", copy)
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return copy / "build" / "docs"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    return {path.name: Page.of(path) for path in site.glob("*.html") if path.name not in NO_PAGE} | {
        path.relative_to(site).as_posix(): Page.of(path) for path in site.glob("*/**/*.html")
    }


def target(page: str, link: str) -> tuple[str, str]:
    """What a link of a page leads to: a path from the root of the site (``..`` outside of it), and an anchor."""
    parts = urlsplit(link)
    path = posixpath.join(posixpath.dirname(page), unquote(parts.path)) if parts.path else page
    return posixpath.normpath(path), unquote(parts.fragment)


def is_within(link: str) -> bool:
    return not urlsplit(link).scheme


def test_every_page_of_the_folder_is_built(pages: dict[str, Page]) -> None:
    sources = {path.relative_to(ROOT / "docs").with_suffix(".html").as_posix() for path in ROOT.glob("docs/**/*.md")}
    assert set(pages) == sources


def test_links_and_anchors_lead_somewhere(site: Path, pages: dict[str, Page]) -> None:
    broken = []
    for name, page in pages.items():
        for link in filter(is_within, page.links + page.fetched):
            path, anchor = target(name, link)
            if not (site / path).exists() or (path in pages and anchor and anchor not in pages[path].anchors):
                broken.append(f"{name}: {link}")
    assert not broken


def test_lists_and_tables_are_no_paragraphs(site: Path, pages: dict[str, Page]) -> None:
    """What belongs to a list item is indented by four spaces; with two, the lines that follow lose their list."""
    for name in pages:
        text = (site / name).read_text(encoding="utf-8")
        assert not re.findall(r"<(?:p|td)>(?:[^<]*\n)?(?:[*-] |\|)[^<\n]*", text), name


def test_links_lead_from_the_first_page_to_every_other(pages: dict[str, Page]) -> None:
    reached, waiting = set(), ["index.html"]
    while waiting:
        name = waiting.pop()
        if name in reached or name not in pages:
            continue
        reached.add(name)
        waiting += [target(name, link)[0] for link in pages[name].links if is_within(link)]
    assert reached == set(pages)


def test_pages_fetch_nothing_from_another_host(pages: dict[str, Page]) -> None:
    assert not [f"{name}: {link}" for name, page in pages.items() for link in page.fetched if not is_within(link)]


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium of the system (apt-get install chromium)")
@pytest.mark.parametrize(("wide", "high", "scheme"), [(1280, 720, "light"), (390, 844, "dark")])
def test_pages_in_a_browser(address: str, pages: dict[str, Page], wide: int, high: int, scheme: Any) -> None:
    """No request to another host, no complaint of the browser, nothing wider than the window."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    requests: list[str] = []
    complaints: list[str] = []
    too_wide: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": wide, "height": high}, color_scheme=scheme).new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        for name in sorted(pages):
            page.goto(address + name)
            page.wait_for_load_state("networkidle")
            if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                too_wide.append(name)
        browser.close()
    assert not [url for url in requests if not url.startswith((address, "data:", "blob:"))]
    assert not complaints
    assert not too_wide
