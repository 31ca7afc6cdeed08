"""Takes a picture of a running board: `python tests/support/screenshot.py URL FILE.png [--dark] [--height 1000]`."""

from __future__ import annotations

import argparse
import tempfile
from contextlib import contextmanager
from pathlib import Path

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@contextmanager
def chromium_page(*, width=1440, height=1000, dark=False):
    """A page of Debian's Chromium with an empty profile."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as profile, sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            profile, executable_path=str(CHROMIUM), args=ARGUMENTS, viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light")
        try:
            yield browser.pages[0] if browser.pages else browser.new_page()
        finally:
            browser.close()


def open_board(page, url):
    """Load the URL and wait until Streamlit has drawn all of it."""
    page.goto(url, wait_until="load", timeout=60_000)
    page.wait_for_selector("h1", timeout=60_000)
    page.wait_for_function("!document.querySelector('[data-testid=\"stStatusWidget\"]') && "
                           "!document.querySelector('[data-test-script-state=\"running\"]')", timeout=60_000)
    page.wait_for_function("[...document.querySelectorAll('[data-testid=\"stVegaLiteChart\"]')]"
                           ".every(chart => chart.querySelector('svg.marks, canvas.marks'))", timeout=60_000)
    page.wait_for_timeout(800)  # charts are laid out after the script has ended


def save_picture(page, path):
    """The whole page, not only what fits into the window."""
    height = page.evaluate("Math.ceil(document.querySelector('[data-testid=\"stMain\"]').scrollHeight)")
    size = page.viewport_size
    page.set_viewport_size({"width": size["width"], "height": max(size["height"], height + 40)})
    page.wait_for_timeout(800)
    page.screenshot(path=str(path))
    page.set_viewport_size(size)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("file", type=Path)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--height", type=int, help="only this much of the page; default: all of it")
    given = parser.parse_args()
    with chromium_page(dark=given.dark, width=given.width, height=given.height or 1000) as page:
        open_board(page, given.url)
        if given.height:
            page.screenshot(path=str(given.file))
        else:
            save_picture(page, given.file)


if __name__ == "__main__":
    main()
