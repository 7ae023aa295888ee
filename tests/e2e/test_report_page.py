"""The report page in a real browser: what it shows, and what hostile results cannot make it do."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from builder.bench.result import KernelTime, Measurement, Problem
from builder.cli.app import run
from builder.effects.results import save_result
from tests.measurements import COMPARED, RIVALS, SPOILT, measurement

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
HOSTILE = (
    '<script>document.title="taken"</script>',
    '"><img src=http://evil.example/a onerror=\'document.title="taken"\'>',
    "</style><link rel=stylesheet href=http://evil.example/b>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:document.title='taken'",
    "\u202egnp.exe",
    "'--><svg onload=alert(1)>",
)


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page as a browser has it after its script ran, and what the browser said meanwhile."""

    html: str
    console: tuple[str, ...]
    requests: tuple[str, ...]

    @property
    def elements(self) -> list[tuple[str, dict[str, str | None]]]:
        found: list[tuple[str, dict[str, str | None]]] = []

        class Collector(HTMLParser):
            def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
                found.append((tag, dict(attrs)))

        Collector().feed(self.html)
        return found

    @property
    def text(self) -> str:
        pieces: list[str] = []

        class Collector(HTMLParser):
            def handle_data(self, data: str) -> None:
                pieces.append(data)

        Collector().feed(self.html)
        return "".join(pieces)


Browse = Callable[..., Page]


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("no Chromium is installed")

    def open_page(page: Path, *flags: str) -> Page:
        log = tmp_path / "net.json"
        done = subprocess.run(
            [
                browser,
                *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
                *("--disable-background-networking", "--disable-component-update"),
                *("--disable-dev-shm-usage", "--enable-logging=stderr"),
                *("--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=2000"),
                f"--user-data-dir={tmp_path / 'profile'}",
                f"--log-net-log={log}",
                *flags,
                "--dump-dom",
                page.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        return Page(html=done.stdout, console=tuple(console), requests=urls(log))

    return open_page


def urls(log: Path) -> tuple[str, ...]:
    """Return what pages asked for by network, from the browser's own log."""
    text = log.read_text(encoding="utf-8").rstrip().rstrip(",")
    try:
        events = json.loads(text)["events"]
    except ValueError:  # a browser that was ended by its time budget leaves the list open
        events = json.loads(text + "]}")["events"]
    asked = [event.get("params") or {} for event in events]
    # What the browser wants for itself (updates, the time) has no origin.
    return tuple(
        request["url"]
        for request in asked
        if request.get("initiator", "not an origin") != "not an origin"
        and not request["url"].startswith(("file:", "data:"))
    )


def write_page(folder: Path, *measurements: Measurement) -> Path:
    files = [str(save_result(each, folder / "results")) for each in measurements]
    page = folder / "report.html"
    assert run(["report", *files, "-o", str(page), "--title", "Nightly"]) == 0
    return page


def nightly() -> tuple[Measurement, ...]:
    times = [f"2026-01-0{day}T00:00:00+00:00" for day in range(1, 6)]
    return (
        measurement(1000, taken_utc=times[0]),
        measurement(1002, taken_utc=times[1]),
        measurement(1080, taken_utc=times[2], comparison=COMPARED, sha256="b" * 64),
        measurement(400, taken_utc=times[3], device="nano", target="jetson-nano", minutes=3),
        measurement(4000, taken_utc=times[4], status="invalid", problems=(SPOILT,), rivals=RIVALS),
    )


def test_a_page_shows_it_all_and_asks_for_nothing(tmp_path: Path, browse: Browse) -> None:
    page = browse(write_page(tmp_path, *nightly()))
    assert page.console == ()
    assert page.requests == ()
    for text in (
        "Nightly",
        "Side by side",
        "History",
        "digits on pi (raspberry-pi-4), 1 thread",
        "8.0% slower than 00000001-digits-0123456789abcdef",
        "block 2: the board throttled: get_throttled",
        "Minute by minute",
        "/Conv_0, /Relu_1",
        "onnxruntime 1.31.1",
        "cpu-thermal 51.5",
        "1250 runs",
    ):
        assert text in page.text, text


def test_a_page_that_asks_would_be_noticed(tmp_path: Path, browse: Browse) -> None:
    page = tmp_path / "asking.html"
    page.write_text("<img src=http://evil.example/a><script>console.log('said')</script>")
    shown = browse(page)
    assert "http://evil.example/a" in shown.requests
    assert len(shown.console) >= 1


def test_a_page_can_be_read_without_seeing_it(tmp_path: Path, browse: Browse) -> None:
    elements = browse(write_page(tmp_path, *nightly())).elements
    assert ("html", {"lang": "en"}) in elements
    assert all(attributes.get("aria-label") for tag, attributes in elements if tag == "svg")
    assert all(attributes.get("scope") for tag, attributes in elements if tag == "th")
    links = {str(a["href"])[1:] for tag, a in elements if tag == "a"}
    assert links <= {a.get("id") for _, a in elements}
    ids = [a["id"] for _, a in elements if "id" in a]
    assert len(ids) == len(set(ids))


def test_the_script_runs_and_offers_the_other_theme(tmp_path: Path, browse: Browse) -> None:
    page = write_page(tmp_path, *nightly())
    for setting, label in (("0", "Light"), ("1", "Dark")):
        shown = browse(page, f"--blink-settings=preferredColorScheme={setting}")
        assert f'<button id="theme" type="button">{label}</button>' in shown.html


def spoilt(hostile: str) -> Measurement:
    """Return a measurement that says ``hostile`` wherever it can say anything."""
    return measurement(
        device=hostile,
        model=hostile,
        target=hostile,
        sha256=hostile,
        taken_utc=hostile,
        status="invalid",
        problems=(Problem(reason=hostile, where=hostile, what=hostile),),
        kernels=(KernelTime(name=hostile, nodes=(hostile,), mean_us=1, share=1),),
        comparison=replace(COMPARED, baseline=hostile),
        rivals=(replace(RIVALS[0], name=hostile, version=hostile), *RIVALS[1:]),
    )


def test_hostile_text_is_text(tmp_path: Path, browse: Browse) -> None:
    harmless = browse(write_page(tmp_path / "a", *nightly()))
    page = browse(write_page(tmp_path / "b", *(2 * [spoilt(text) for text in HOSTILE])))
    assert page.requests == ()
    assert page.console == ()
    assert "<title>Nightly</title>" in page.html
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in harmless.elements}
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert not any(name.startswith("on") for _, found in page.elements for name in found)
    for hostile in HOSTILE:
        assert hostile.replace("\u202e", "\ufffd") in page.text
