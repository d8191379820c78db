"""Pages for everybody: axe-core finds no serious fault, and the tab key reaches everything."""

from __future__ import annotations

import pytest

from tests.mtmc.view.test_browser import PAGES, WAIT_MS, Window, browser, pytestmark, window
from tests.mtmc.view.test_browser_place import home, server

__all__ = ["browser", "home", "pytestmark", "server", "window"]

axe_module = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is missing")

PLACE_PAGES = tuple(f"#/place?tab={name}" for name in ("zones", "region", "links", "ground", "clock"))
SIZES = ((1280, 720), (390, 844))
_FOCUSABLE = """[...document.querySelectorAll("a[href], button, input, select, textarea, [tabindex='0']")]
  .filter((node) => !node.disabled && node.checkVisibility())"""
_REACHED = """() => {
  const node = document.activeElement;
  if (node === document.body) return "";
  reached.add(node);
  return getComputedStyle(node).outlineStyle === "none" ? node.outerHTML : "";
}"""


def faults(window: Window) -> list[str]:
    """What axe-core finds serious or critical in the page that is shown."""
    found = axe_module.Axe().run(window.page).response["violations"]
    return [
        f"{fault['impact']} {fault['id']}: {node['html'][:120]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize("page", [*PAGES, *PLACE_PAGES])
def test_a_page_for_everybody(window: Window, page: str) -> None:
    window.open(page)
    window.until("document.querySelector('#page h1') && !document.querySelector('#page .loading')")
    assert window.page.locator("h1").count() == 1
    for width, height in SIZES:
        window.page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            window.page.emulate_media(color_scheme=scheme)
            assert faults(window) == [], (width, scheme)
        assert window.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
    expected = window.page.evaluate(f"{_FOCUSABLE}.length")
    window.page.evaluate("window.reached = new Set(); document.activeElement.blur()")
    for _ in range(expected + 3):
        window.page.keyboard.press("Tab")
        assert window.page.evaluate(_REACHED) == "", "the focus does not show"
    missing = f"{_FOCUSABLE}.filter((node) => !reached.has(node)).map((node) => node.outerHTML)"
    assert window.page.evaluate(missing) == []


def test_the_help_is_for_everybody_and_a_fault_would_be_found(window: Window) -> None:
    window.open("#/result")
    window.page.keyboard.press("?")
    window.page.locator("dialog.help").wait_for(timeout=WAIT_MS)
    assert "play or pause" in window.page.locator("dialog.help dd").first.inner_text()
    assert faults(window) == []
    window.page.evaluate("document.querySelector('dialog').append(document.createElement('button'))")
    assert any("button-name" in fault for fault in faults(window))
