"""What every suite shares: golden files, and a guard against processes in unit tests."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

TESTS = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write golden files instead of comparing"
    )


@pytest.fixture(autouse=True)
def no_processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ``subprocess.Popen`` raise in tests/unit, where tests state facts and see values."""
    if request.path.is_relative_to(TESTS / "unit"):
        monkeypatch.setattr(subprocess, "Popen", _refuse)


@pytest.fixture(autouse=True)
def no_records_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what a developer has tuned out of what is built here."""
    monkeypatch.setenv("BOARDWRIGHT_TUNING", str(tmp_path / "no-records"))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, Any], None]:
    """Compare a JSON-able value with ``tests/golden/NAME.json``, or write it when asked to."""

    def check(name: str, value: Any) -> None:
        path = TESTS / "golden" / f"{name}.json"
        text = json.dumps(value, indent=2) + "\n"
        if request.config.getoption("--update-golden"):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"{path.name}: see --update-golden"

    return check


def _refuse(*args: object, **kwargs: object) -> NoReturn:
    pytest.fail("a unit test must not start a process")
