"""The real board, in a real browser: figures equal the store's, names are harmless, nobody else is asked."""

import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lab.board.figures import show
from lab.board.results_table import MAIN_KEYS
from lab.reports.csv_export import rows_to_csv
from lab.store.store import Store
from tests.conftest import need
from tests.support.board_fixture import HOSTILE_NAME, fill_store, hostile_rows
from tests.support.board_server import running_board
from tests.support.screenshot import CHROMIUM, chromium_page, open_board, save_picture

pytestmark = pytest.mark.system
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(URL, rows) of a board over two campaigns: the hostile one, and the example, which is newer."""
    need("chromium", CHROMIUM.exists())
    folder = tmp_path_factory.mktemp("board")
    with Store.open(folder / "home") as store:
        fill_store(store, hostile_rows(), devices={}, name="hostile")
        rows = store.result_rows(campaign=fill_store(store))
    with running_board(folder / "home", folder / "server.log") as url:
        yield url, rows


@pytest.fixture
def page(served):
    with chromium_page() as opened:
        open_board(opened, served[0])
        yield opened


def cells(page, key):
    return page.locator(f'table.jl td[data-key="{key}"] .value').all_inner_texts()


def choose_hostile(page):
    page.get_by_role("combobox", name="Campaign").click()
    page.get_by_role("option", name="hostile").click()
    page.wait_for_function("document.querySelector('table.jl').innerText.includes('onerror')")
    page.wait_for_timeout(800)


def test_the_table_shows_the_stores_figures_to_the_digit(served, page):
    for key in MAIN_KEYS:
        assert cells(page, key) == [show(row, key) for row in served[1]]


def test_no_request_leaves_this_machine(served, page):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    for path in ("", "/devices", "/campaigns"):
        open_board(page, served[0] + path)

    hosts = {urlsplit(url).hostname for url in asked if urlsplit(url).scheme.startswith(("http", "ws"))}
    assert hosts == {"127.0.0.1"}


def test_charts_are_drawn_and_described(page):
    described = page.locator('[data-testid="stVegaLiteChart"] [aria-label*="inference (gross)"]')

    assert page.locator('[data-testid="stVegaLiteChart"]').count() == 6
    assert any("SIMULATED" in (each.get_attribute("aria-label") or "") for each in described.all())


def test_the_download_holds_the_rows_at_full_precision(served, page):
    with page.expect_download() as download:
        page.get_by_role("button", name="Download raw values").click()

    assert download.value.suggested_filename == "example-figures.csv"
    assert Path(download.value.path()).read_bytes().decode() == rows_to_csv(served[1])


def test_a_hostile_name_is_text_in_table_and_tooltip(page):
    choose_hostile(page)
    tooltip = hover_a_point(page)

    assert HOSTILE_NAME.split("\x1b")[0] in page.locator("table.jl").inner_text()
    assert "<img" in tooltip
    assert page.evaluate("window.pwned") is None
    assert page.locator("table.jl img, #vg-tooltip-element img").count() == 0


def hover_a_point(page):
    """Points at the first mark of the first chart; returns the text of its tooltip."""
    mark = page.locator('[data-testid="stVegaLiteChart"] .mark-symbol.role-mark path').first
    mark.scroll_into_view_if_needed()
    mark.hover(force=True)
    page.wait_for_selector("#vg-tooltip-element.visible", timeout=10_000)
    return page.locator("#vg-tooltip-element").inner_text()


@pytest.mark.parametrize("dark", [False, True])
def test_a_picture_can_be_taken_in_both_themes(served, tmp_path, dark):
    with chromium_page(dark=dark) as opened:
        open_board(opened, served[0])
        background = opened.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
        save_picture(opened, tmp_path / "board.png")

    assert background == ("rgb(17, 21, 26)" if dark else "rgb(255, 255, 255)")
    assert (tmp_path / "board.png").read_bytes().startswith(PNG_SIGNATURE)


def test_the_board_listens_on_the_loopback_address_only(served):
    port = urlsplit(served[0]).port
    listening = [line.split()[1] for table in ("/proc/net/tcp", "/proc/net/tcp6") if Path(table).exists()
                 for line in Path(table).read_text().splitlines()[1:] if line.split()[3] == "0A"]

    assert [address for address in listening if int(address.split(":")[1], 16) == port] == [f"0100007F:{port:04X}"]


@pytest.mark.parametrize(("host", "status"), [("127.0.0.1", "101"), ("evil.example", "403")])
def test_a_foreign_name_pointed_at_this_machine_is_refused(served, host, status):
    parts = urlsplit(served[0])
    request = (f"GET /_stcore/stream HTTP/1.1\r\nHost: {host}:{parts.port}\r\nOrigin: http://{host}:{parts.port}\r\n"
               "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(request.encode())
        answer = connection.recv(200)

    assert answer.split()[1].decode() == status
