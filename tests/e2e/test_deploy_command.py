"""``boardwright deploy-remote`` as a user runs it, on boards that are folders of this machine."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builder.cli.app import run
from tests.bundles import sealed
from tests.e2e.runtime_builds import Gcc, make_bundle

QUICKLY = ("--threads", "1", "--seconds", "0.1", "--blocks", "3", "--allow-load", "1000")

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the bundles here are for x86-64"
)


@dataclass(frozen=True, kw_only=True)
class Done:
    """One run of the command: its exit code, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def devices(self) -> dict[str, Any]:
        """What ``--json`` says, by device."""
        return {one["device"]: one for one in json.loads(self.out)["devices"]}


Boardwright = Callable[..., Done]


@pytest.fixture
def boardwright(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Boardwright:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("BOARDWRIGHT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("BOARDWRIGHT_DEVICES", str(tmp_path / "devices.yaml"))

    def call(*arguments: str | Path) -> Done:
        code = run(list(map(str, arguments)))
        printed = capsys.readouterr()
        return Done(code=code, out=printed.out, err=printed.err)

    return call


@pytest.fixture
def boards(tmp_path: Path) -> Path:
    """Two boards by the names of ``pi`` and ``nano``; return the folder that holds their roots."""
    listed = [
        {"name": n, "target": "x86_64-linux", "host": "local", "root": str(tmp_path / "on" / n)}
        for n in ("pi", "nano")
    ]
    (tmp_path / "devices.yaml").write_text(json.dumps({"devices": listed}))
    return tmp_path / "on"


@pytest.fixture
def bundle(gcc: Gcc, tmp_path: Path) -> Path:
    return sealed(make_bundle(gcc, tmp_path / "bundle", "none", "-O2")).folder


def test_what_is_measured_is_what_was_deployed_under_one_lock(
    boardwright: Boardwright, boards: Path, bundle: Path
) -> None:
    done = boardwright("deploy-remote", "--device", "pi", "--bundle", bundle, "--bench",
                       *QUICKLY, "--json")  # fmt: skip
    assert done.code == 0, done.err
    deployed = done.devices["pi"]
    [measured] = deployed["measurements"]
    assert measured["subject"]["release"] == deployed["release"]
    # Whoever takes the lock takes a ticket: nobody did between the two, not even ourselves.
    last = max(ticket.name for ticket in (boards / "pi" / "locks").iterdir())
    assert int(last.removeprefix("ticket-")) == deployed["fence"]


def test_a_page_that_cannot_be_written_hides_nothing(
    boardwright: Boardwright, boards: Path, bundle: Path
) -> None:
    done = boardwright("deploy-remote", "--device", "pi", "--bundle", bundle, "--bench",
                       *QUICKLY, "--report", "no/such/folder.html", "--json")  # fmt: skip
    assert done.code == 4
    assert done.devices["pi"]["status"] == "ok"
    assert done.devices["pi"]["measurements"]
    assert "no/such" in done.err


@pytest.mark.parametrize("path", ["lib/libmodel.so", "share/weights.bin", "bin/run"])
def test_a_bundle_that_is_not_what_its_manifest_says_is_named_before_anything_is_sent(
    boardwright: Boardwright, boards: Path, bundle: Path, path: str
) -> None:
    file = bundle / path
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    for verb in (
        ("deploy-remote", "--device", "pi", "--bundle", bundle, "--json"),
        ("run", bundle),
    ):
        done = boardwright(*verb)
        assert done.code == 5
        assert path in done.out + done.err
    assert not (boards / "pi").exists()


def test_a_file_that_is_missing_or_a_link_is_named(boardwright: Boardwright, bundle: Path) -> None:
    library = bundle / "lib" / "libmodel.so"
    library.rename(bundle.parent / "elsewhere")
    assert boardwright("run", bundle).code == 5
    library.symlink_to(bundle.parent / "elsewhere")
    done = boardwright("run", bundle)
    assert (done.code, "lib/libmodel.so" in done.err) == (5, True)


def test_one_board_that_fails_stops_no_other(
    boardwright: Boardwright, boards: Path, bundle: Path
) -> None:
    boards.mkdir()
    (boards / "pi").write_text("in the way")
    done = boardwright("deploy-remote", "--device", "*", "-j", "2", "--bundle", bundle, "--json")
    assert done.code == 7
    assert [done.devices[name]["status"] for name in ("pi", "nano")] == ["failed", "ok"]
