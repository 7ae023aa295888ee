"""Bundles on phones, through the command and a real adbd."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from builder.model.target import Arch
from tests.contract.adb_phone import SERIAL, Phone, phone
from tests.e2e.android_builds import TARGETS

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "ci" / "models" / "digits.onnx"
NAME = f"adb:{SERIAL}"
ABIS: dict[Arch, str] = {"aarch64": "arm64-v8a", "armv7": "armeabi-v7a", "x86_64": "x86_64"}
EMULATORS: dict[Arch, str] = {"aarch64": "qemu-aarch64", "armv7": "qemu-arm"}

pytestmark = pytest.mark.timeout(900)


def boardwright(
    *arguments: str | Path, cwd: Path, cache: Path, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run the command as a user with no configuration of any kind would."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ADB_", "ANDROID_"))}
    own = {"PYTHONPATH": str(ROOT), "BOARDWRIGHT_CACHE_DIR": str(cache), "HOME": str(cwd)}
    return subprocess.run(
        [sys.executable, "-m", "builder", *map(str, arguments)],
        cwd=cwd,
        env={**kept, **own, "XDG_CONFIG_HOME": str(cwd / "config"), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def failure(done: subprocess.CompletedProcess[str]) -> tuple[int, str]:
    """Return the exit code and the reason of a command that was to fail."""
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)["error"]["reason"]


@pytest.fixture(scope="module")
def bundles(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the model once for every ABI; return the output folder's parent."""
    folder = tmp_path_factory.mktemp("bundles")
    chosen = [word for target in TARGETS.values() for word in ("--target", target)]
    command = ("build", str(DIGITS), *chosen, "--toolchain", "local")
    done = boardwright(*command, cwd=folder, cache=cache, variables={})
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "dist" / "digits"


@pytest.fixture(params=TARGETS)
def arch(request: pytest.FixtureRequest) -> Arch:
    arch: Arch = request.param
    if arch in EMULATORS and not Path(f"/usr/lib/binfmt.d/{EMULATORS[arch]}.conf").exists():
        pytest.skip("qemu-user-static is not installed")
    return arch


@pytest.fixture
def board(arch: Arch, tmp_path: Path) -> Iterator[Phone]:
    with phone(tmp_path / "phone", "run", ABIS[arch], "30") as running:
        yield running


def on_phone(board: Phone, script: str) -> str:
    done = subprocess.run(
        ["adb", "-s", SERIAL, "shell", script],
        env={**os.environ, **board.variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_a_phone_takes_a_bundle_checks_it_and_runs_it(
    board: Phone, arch: Arch, bundles: Path, cache: Path, tmp_path: Path
) -> None:
    bundle = bundles / TARGETS[arch] / "bundle"
    command = ("deploy-remote", "--device", NAME, "--bundle", bundle, "--json")
    done = boardwright(*command, cwd=tmp_path, cache=cache, variables=board.variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["status"] == "ok"
    runner = "/data/local/tmp/boardwright/current/bin/run"
    assert json.loads(on_phone(board, f"{runner} --check --json"))["ok"] is True
    again = boardwright(*command, cwd=tmp_path, cache=cache, variables=board.variables)
    assert again.returncode == 0, again.stdout + again.stderr


def test_attached_phones_are_listed_with_their_target(
    board: Phone, arch: Arch, cache: Path, tmp_path: Path
) -> None:
    done = boardwright(
        *("devices", "list", "--json"), cwd=tmp_path, cache=cache, variables=board.variables
    )
    expected: list[dict[str, Any]] = [{"name": NAME, "target": TARGETS[arch], "state": "device"}]
    assert json.loads(done.stdout)["attached"] == expected


def test_another_abi_is_refused(bundles: Path, cache: Path, tmp_path: Path) -> None:
    with phone(tmp_path / "phone", "run", "arm64-v8a", "30") as running:
        bundle = bundles / "android-x86_64" / "bundle"
        command = ("deploy-remote", "--device", NAME, "--bundle", bundle, "--json")
        done = boardwright(*command, cwd=tmp_path, cache=cache, variables=running.variables)
        assert failure(done) == (2, "other-target")
        ad_hoc = ("--target", "android-x86_64", "--host", NAME, "--bundle", bundle, "--json")
        done = boardwright(
            *("deploy-remote", *ad_hoc), cwd=tmp_path, cache=cache, variables=running.variables
        )
        assert failure(done) == (7, "wrong-arch")


def test_an_old_android_is_refused(bundles: Path, cache: Path, tmp_path: Path) -> None:
    with phone(tmp_path / "phone", "run", "x86_64", "23") as running:
        command = ("deploy-remote", "--device", NAME, "--json")
        done = boardwright(
            *(*command, "--bundle", bundles / "android-x86_64" / "bundle"),
            cwd=tmp_path,
            cache=cache,
            variables=running.variables,
        )
        assert failure(done) == (7, "old-android")


def test_a_full_phone_is_refused(bundles: Path, cache: Path, tmp_path: Path) -> None:
    small = {"BOARDWRIGHT_PHONE_DATA": "600k"}
    with phone(tmp_path / "phone", "run", "x86_64", "30", **small) as running:
        command = ("deploy-remote", "--device", NAME, "--json")
        done = boardwright(
            *(*command, "--bundle", bundles / "android-x86_64" / "bundle"),
            cwd=tmp_path,
            cache=cache,
            variables=running.variables,
        )
        assert failure(done) == (7, "no-space")


def test_a_phone_is_measured(bundles: Path, cache: Path, tmp_path: Path) -> None:
    with phone(tmp_path / "phone", "run", "x86_64", "30") as running:
        bundle = bundles / "android-x86_64" / "bundle"
        command = ("deploy-remote", "--device", NAME, "--bundle", bundle, "--bench", "--json")
        done = boardwright(
            *(*command, "--allow-load", "1024"),
            cwd=tmp_path,
            cache=cache,
            variables=running.variables,
        )
    # A busy machine makes a measurement invalid; that it was one is what counts here.
    assert done.returncode in (0, 10), done.stdout + done.stderr
    results = list((tmp_path / "results").rglob("*.json"))
    assert results
    for block in json.loads(results[0].read_text(encoding="utf-8"))["blocks"]:
        assert block["before"]["on_battery"] is True
        levels = {each["name"]: each["value"] for each in block["before"]["throttles"]}
        assert levels["thermal service"] == 0


def test_without_adb_there_is_a_remedy(cache: Path, tmp_path: Path) -> None:
    nowhere = {"ADB_SERVER_SOCKET": f"localfilesystem:{tmp_path}/none", "PATH": "/nowhere"}
    command = ("deploy-remote", "--device", "adb:R58M123ABC", "--bundle", tmp_path, "--json")
    done = boardwright(*command, cwd=tmp_path, cache=cache, variables=nowhere)
    assert failure(done) == (2, "no-adb")


def test_a_phone_that_is_not_attached_is_lost(cache: Path, tmp_path: Path) -> None:
    with phone(tmp_path / "phone", "bare") as running:
        command = ("deploy-remote", "--device", "adb:R58M123ABC", "--bundle", tmp_path, "--json")
        done = boardwright(*command, cwd=tmp_path, cache=cache, variables=running.variables)
    assert failure(done) == (6, "no-device")


@pytest.mark.skipif(
    "BOARDWRIGHT_ANDROID_SERIAL" not in os.environ, reason="BOARDWRIGHT_ANDROID_SERIAL is not set"
)
def test_a_real_device(bundles: Path, cache: Path, tmp_path: Path) -> None:
    """On an emulator or a phone of the user's: the static runner; nothing loads the library."""
    assert shutil.which("adb")
    name = f"adb:{os.environ['BOARDWRIGHT_ANDROID_SERIAL']}"
    variables = {k: v for k, v in os.environ.items() if k.startswith(("ADB_", "ANDROID_", "HOME"))}
    listed = boardwright(
        *("devices", "list", "--json"), cwd=tmp_path, cache=cache, variables=variables
    )
    [target] = [a["target"] for a in json.loads(listed.stdout)["attached"] if a["name"] == name]
    command = ("deploy-remote", "--device", name, "--bundle", bundles / target / "bundle")
    done = boardwright(*command, cwd=tmp_path, cache=cache, variables=variables)
    assert done.returncode == 0, done.stdout + done.stderr
