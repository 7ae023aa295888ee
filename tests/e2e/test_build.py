"""Whole builds through the command: verified bundles, equal bytes, and what failure looks like."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from builder.bundle.archive import verify_archive
from builder.bundle.manifest import verify_bundle

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "ci" / "models" / "digits.onnx"
SHARED = ROOT.parent / "shared" / "models"
FOUR = ("x86_64-linux", "raspberry-pi-4", "jetson-nano", "raspberry-pi-armv7")


def environment(cache: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "BOARDWRIGHT_CACHE_DIR": str(cache)}


def boardwright(*arguments: str | Path, cache: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, from a folder outside the checkout."""
    return subprocess.run(
        [sys.executable, "-m", "builder", *map(str, arguments)],
        cwd=cwd,
        env=environment(cache),
        capture_output=True,
        text=True,
        check=False,
    )


def build(
    model: Path, *targets: str, cache: Path, cwd: Path, options: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    """Build for ``targets`` with the local toolchain; return the receipts."""
    chosen = [word for target in targets for word in ("--target", target)]
    done = boardwright(
        "build", model, *chosen, "--toolchain", "local", *options, cache=cache, cwd=cwd
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [receipt(cwd, model.stem, target) for target in targets]


def receipt(cwd: Path, model: str, target: str) -> dict[str, Any]:
    text = (cwd / "dist" / model / target / "receipt.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def emulators() -> tuple[str, ...]:
    """Return the targets that cannot run here, with the reason for a skip."""
    missing = []
    if not (shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")):
        missing += ["raspberry-pi-4", "jetson-nano"]
    if not (shutil.which("qemu-arm-static") or shutil.which("qemu-arm")):
        missing += ["raspberry-pi-armv7"]
    return tuple(missing)


needs_qemu = pytest.mark.skipif(bool(emulators()), reason="qemu-user is not installed")


@needs_qemu
def test_four_boards_from_one_model_all_verified(cache: Path, tmp_path: Path) -> None:
    receipts = build(DIGITS, *FOUR, cache=cache, cwd=tmp_path)
    for made, target in zip(receipts, FOUR, strict=True):
        assert made["status"] == "ok"
        assert made["verify"]["ok"] is True
        assert made["verify"]["where"] == ("native" if target.startswith("x86") else "qemu")
        assert made["verify"]["max_abs_error"] < 1e-5
        folder = tmp_path / "dist" / "digits" / target
        verify_bundle(folder / "bundle")
        verify_archive(folder / f"digits-{target}.tar.gz")


@pytest.mark.parametrize("target", ["x86_64-linux-musl", "aarch64-linux-musl"])
@needs_qemu
def test_static_targets_are_one_file(cache: Path, tmp_path: Path, target: str) -> None:
    [made] = build(DIGITS, target, cache=cache, cwd=tmp_path)
    assert made["verify"]["ok"] is True
    assert not (tmp_path / "dist" / "digits" / target / "bundle" / "share").exists()


def test_the_same_thing_twice_is_the_same_bytes(cache: Path, tmp_path: Path) -> None:
    """Another folder, umask, time zone, locale and hash seed; nothing taken from the cache."""
    digests = []
    for name, environ, umask in (
        ("one", {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1"}, "022"),
        ("an other", {"TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "77"}, "077"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        model = shutil.copy(DIGITS, folder / "digits.onnx")
        command = f"umask {umask}; exec {sys.executable} -m builder build {Path(model).name}"
        done = subprocess.run(
            ["sh", "-c", f"{command} --target x86_64-linux --toolchain local --no-cache"],
            cwd=folder,
            env={**environment(cache), **environ},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        digests.append(receipt(folder, "digits", "x86_64-linux")["bundle"]["sha256"])
    assert digests[0] == digests[1]


def test_nothing_to_do_is_said_and_done_fast_without_tvm(cache: Path, tmp_path: Path) -> None:
    build(DIGITS, "x86_64-linux", cache=cache, cwd=tmp_path)
    arguments = ["build", str(DIGITS), "--target", "x86_64-linux", "--toolchain", "local"]
    code = (
        "import sys; from builder.cli.app import run;"
        f"code = run({arguments!r});"
        "heavy = {'tvm', 'onnx', 'onnxruntime', 'docker'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(cache),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "hit" in done.stdout


def test_a_deleted_file_in_dist_is_put_back(cache: Path, tmp_path: Path) -> None:
    build(DIGITS, "x86_64-linux", cache=cache, cwd=tmp_path)
    library = tmp_path / "dist/digits/x86_64-linux/bundle/lib/libmodel.so"
    library.unlink()
    build(DIGITS, "x86_64-linux", cache=cache, cwd=tmp_path)
    assert library.stat().st_size > 10_000


def test_json_is_one_document(cache: Path, tmp_path: Path) -> None:
    options = ("--target", "x86_64-linux", "--toolchain", "local", "--json")
    done = boardwright("build", DIGITS, *options, cache=cache, cwd=tmp_path)
    assert json.loads(done.stdout)["status"] == "ok"


def test_init_then_build_needs_no_other_argument(cache: Path, tmp_path: Path) -> None:
    shutil.copy(DIGITS, tmp_path / "digits.onnx")
    assert boardwright("init", "digits.onnx", cache=cache, cwd=tmp_path).returncode == 0
    done = boardwright(
        "build", "--target", "x86_64-linux", "--toolchain", "local", cache=cache, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert receipt(tmp_path, "digits", "x86_64-linux")["status"] == "ok"


REAL: dict[str, tuple[str, ...]] = {
    "mnist": (),
    "silero-vad-16k": ("--dim", "batch=1", "--dim", "sequence=576", "--freeze", "sr=16000"),
    "ultraface-rfb-320": (),
    "yunet-n-320": (),
    "yunet-n-dynamic": ("--shape", "input=1,3,160,192"),
}
"""Trained models, with the options that fix their inputs."""


@pytest.mark.parametrize("model", REAL)
@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared models are not beside this checkout")
@needs_qemu
def test_real_models_verify_on_every_family(cache: Path, tmp_path: Path, model: str) -> None:
    path = SHARED / f"{model}.onnx"
    for made in build(path, *FOUR, cache=cache, cwd=tmp_path, options=REAL[model]):
        assert made["verify"]["ok"] is True
        assert made["verify"]["max_abs_error"] < 1e-4


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty-file"), (b"not onnx at all", "not-onnx"), (None, "truncated model")],
    ids=["empty", "garbage", "truncated"],
)
def test_a_file_that_is_no_model(
    cache: Path, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(DIGITS.read_bytes()[:40_000] if content is None else content)
    failure = failing(path, cache=cache, cwd=tmp_path)
    assert failure["exit_code"] == 3
    if content is not None:
        assert failure["reason"] == reason


def failing(model: Path, *options: str, cache: Path, cwd: Path) -> dict[str, Any]:
    """Build what cannot be built; return the failure after checking how it was told."""
    fixed = ("--target", "x86_64-linux", "--toolchain", "local", "--json")
    done = boardwright("build", model, *fixed, *options, cache=cache, cwd=cwd)
    document = json.loads(done.stdout)
    failure = document.get("error") or document["targets"][0]["error"]
    assert done.returncode == failure["exit_code"]
    assert "Traceback" not in done.stderr
    assert not list((cwd / "dist").rglob("bundle")) if (cwd / "dist").exists() else True
    return dict(failure)


@pytest.mark.parametrize(
    ("options", "code", "reason"),
    [
        (("--shape", "nope=1,2"), 2, "unknown-input"),
        (("--shape", "image=16,1,8,9"), 2, "shape-mismatch"),
        (("--shape", "image"), 2, "bad-shape"),
        (("--target", "no-such-board"), 2, "unknown-target"),
        (("--inputs", "absent.npz"), 2, None),
    ],
)
def test_requests_that_cannot_be(
    cache: Path, tmp_path: Path, options: tuple[str, ...], code: int, reason: str | None
) -> None:
    failure = failing(DIGITS, *options, cache=cache, cwd=tmp_path)
    assert failure["exit_code"] == code
    assert reason is None or failure["reason"] == reason


def test_one_bundle_carries_kernels_for_several_cpus(cache: Path, tmp_path: Path) -> None:
    """Each that this CPU can run computes the same; the best is taken; a wrong name is refused."""
    build(DIGITS, "x86_64-linux", cache=cache, cwd=tmp_path)
    program = tmp_path / "dist/digits/x86_64-linux/bundle/bin/run"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)

    flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split()
    levels = {"x86-64-v2": "sse4_2", "x86-64-v3": "avx2", "x86-64-v4": "avx512vl"}
    runnable = [name for name, flag in levels.items() if flag in flags]
    for name in runnable:
        assert run("--check", "--cpu", name).returncode == 0
    assert json.loads(run("--info", "--json").stdout)["cpu"] == runnable[-1]
    assert run("--check", "--cpu", "x86-64-v9").returncode == 2
    for name in levels.keys() - set(runnable):
        assert run("--check", "--cpu", name).returncode == 3
