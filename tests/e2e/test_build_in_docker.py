"""Containers make the bytes that this machine makes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from builder.effects.docker_endpoint import engine_answers

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "ci" / "models" / "digits.onnx"
SHARED = ROOT.parent / "shared" / "models"
TARGETS = (
    *("x86_64-linux", "raspberry-pi-4", "jetson-nano", "raspberry-pi-armv7"),
    *("android-arm64", "android-armv7", "android-x86_64"),
    *(("android",) if shutil.which("javac") else ()),
)

pytestmark = [
    pytest.mark.docker,
    pytest.mark.timeout(1800),  # the first build of an image installs some 500 MB
    pytest.mark.skipif(not engine_answers(os.environ), reason="no Docker engine answers"),
    pytest.mark.skipif(
        "BOARDWRIGHT_BASE_IMAGE" not in os.environ,
        reason="BOARDWRIGHT_BASE_IMAGE names no local image and no registry may be reached",
    ),
    pytest.mark.skipif(
        not (shutil.which("qemu-aarch64-static") and shutil.which("qemu-arm-static")),
        reason="qemu-user is not installed here, so local bundles cannot be verified",
    ),
]


def digests(model: Path, toolchain: str, folder: Path, cache: Path, *options: str) -> list[str]:
    """Build ``model`` for every board; return the archives' SHA-256."""
    folder.mkdir()
    chosen = [word for target in TARGETS for word in ("--target", target)]
    command = [sys.executable, "-m", "builder", "build", str(model), *chosen, *options]
    done = subprocess.run(
        [*command, "--toolchain", toolchain, "--verify", "require", "--json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "BOARDWRIGHT_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    receipts = [
        json.loads((folder / "dist" / model.stem / target / "receipt.json").read_text())
        for target in TARGETS
    ]
    assert all(receipt["verify"]["ok"] for receipt in receipts)
    return [receipt["bundle"]["sha256"] for receipt in receipts]


@pytest.mark.parametrize(
    "model", ["digits", "mnist", "ultraface-rfb-320", "yunet-n-320", "yunet-n-dynamic"]
)
def test_docker_and_local_make_the_same_bytes(tmp_path: Path, cache: Path, model: str) -> None:
    path = DIGITS if model == "digits" else SHARED / f"{model}.onnx"
    if not path.exists():
        pytest.skip("the shared models are not beside this checkout")
    options = ("--shape", "input=1,3,160,192") if model == "yunet-n-dynamic" else ()
    here = digests(path, "local", tmp_path / "local", cache, *options)
    there = digests(path, "docker", tmp_path / "docker", cache, *options)
    assert here == there


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the records are of x86-64")
def test_what_a_container_measures_serves_builds_anywhere(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOARDWRIGHT_TUNING", str(tmp_path / "records"))
    command = [sys.executable, "-m", "builder", "tune", str(DIGITS), "--target", "x86_64-linux"]
    done = subprocess.run(
        [*command, "--toolchain", "docker", "--budget", "1m", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "BOARDWRIGHT_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["records"]
    [file] = (tmp_path / "records").glob("*.json")
    records = json.loads(file.read_text(encoding="utf-8"))
    for record in records["records"]:
        record["tile"] = [1] * len(record["tile"])  # whatever was fastest: not the usual ones
    file.write_text(json.dumps(records), encoding="utf-8")
    here = digests(DIGITS, "local", tmp_path / "local", cache)
    assert here == digests(DIGITS, "docker", tmp_path / "docker", cache)
