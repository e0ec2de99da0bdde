"""The report in a real browser: nothing runs, nothing is fetched, it is drawn, and it prints."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from calibration_results import calibration_audit_by_hand, coverage_audit_by_hand

from auditkit.report import render_card, render_html

BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)
RESULTS = Path(__file__).parent / "data" / "results"

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs chromium or google-chrome on the PATH")


class Listener:
    """A server that notes every request and serves one page."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.page = b""
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                listener.requests.append(self.path)
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(
                    listener.page if self.path == "/page" else b"<script>document.title='fetched'</script>"
                )

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()
    yield found
    found.close()


def browse(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    assert BROWSER is not None
    return subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--enable-logging=stderr",
            f"--user-data-dir={folder / 'profile'}",
            *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


def hostile_page(address: str) -> str:
    """The hostile sample, its payloads aimed at a server that listens."""
    text = (RESULTS / "hostile.json").read_text(encoding="utf-8")
    text = text.replace("https://attacker.invalid", address).replace("//attacker.invalid", address)
    for number in range(1, 9):
        text = text.replace(f"alert({number})", f"fetch('{address}/ran{number}')")
    return text


def test_hostile_names_run_nothing_and_fetch_nothing(tmp_path: Path, listener: Listener) -> None:
    result = json.loads(hostile_page(listener.address))
    listener.page = (render_html(result) + render_card(result)).encode()
    shown = browse(tmp_path, "--dump-dom", "--virtual-time-budget=3000", f"{listener.address}/page")
    assert set(listener.requests) <= {"/page", "/favicon.ico"}
    assert "/page" in listener.requests
    assert "auditkit-result" in shown.stdout
    assert "<title>fetched" not in shown.stdout
    for complaint in ("Refused to", "violates the following Content Security Policy", "Uncaught"):
        assert complaint not in shown.stderr, shown.stderr


def test_the_listener_would_notice(tmp_path: Path, listener: Listener) -> None:
    """The same page without escaping and without its policy does fetch: the test above can fail."""
    listener.page = (
        f"<!DOCTYPE html><img src={listener.address}/x.png><script>fetch('/ran1')</script>".encode()
    )
    browse(tmp_path, "--dump-dom", "--virtual-time-budget=3000", f"{listener.address}/page")
    assert {"/x.png", "/ran1"} <= set(listener.requests)


SAMPLES = ("scores", "batch", "batch_selection")
DRAWN = {
    **{name: json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")) for name in SAMPLES},
    "calibration": calibration_audit_by_hand().to_dict(),
    "coverage": coverage_audit_by_hand().to_dict(),
}
MEASURE = """
<script>onload=()=>{document.title=[...document.querySelectorAll('iframe')].map(f=>{
const d=f.contentDocument.documentElement;
return [d.scrollWidth,d.scrollHeight,getComputedStyle(d.querySelector('body')).backgroundColor].join('|')}).join(';')}
</script>"""


@pytest.mark.parametrize("scheme", [0, 1])
@pytest.mark.parametrize("width", [390, 1000])
def test_page_is_drawn_within_its_width(tmp_path: Path, width: int, scheme: int) -> None:
    """The page is not wider than the window, in light and in dark, on a phone and on a desk."""
    # the measuring page frames the reports at the wanted width and may run a script; a report itself may not
    frames = []
    for name, result in DRAWN.items():
        markup = render_html(result)
        (tmp_path / f"{name}.html").write_text(markup, encoding="utf-8")
        frames.append(f"<iframe src={name}.html style='width:{width}px;height:800px;border:0'></iframe>")
    frame = tmp_path / "frame.html"
    frame.write_text(f"<!DOCTYPE html>{''.join(frames)}{MEASURE}", encoding="utf-8")
    shown = browse(
        tmp_path,
        "--dump-dom",
        "--allow-file-access-from-files",
        f"--blink-settings=preferredColorScheme={scheme}",
        "--window-size=1200,900",
        frame.as_uri(),
    )
    measured = shown.stdout.split("<title>")[1].split("</title>")[0].split(";")
    assert len(measured) == len(DRAWN)
    for found in measured:
        scroll_width, scroll_height, ground = found.split("|")
        assert int(scroll_width) <= width
        assert int(scroll_height) > 1200
        assert ground == ("rgb(17, 21, 26)" if scheme == 0 else "rgb(255, 255, 255)")


def test_page_prints(tmp_path: Path) -> None:
    page, printed = tmp_path / "report.html", tmp_path / "report.pdf"
    page.write_text(
        render_html(json.loads((RESULTS / "counts.json").read_text(encoding="utf-8"))), encoding="utf-8"
    )
    browse(tmp_path, "--no-pdf-header-footer", f"--print-to-pdf={printed}", page.as_uri())
    data = printed.read_bytes()
    assert data.startswith(b"%PDF") and len(data) > 20_000
