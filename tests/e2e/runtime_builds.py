"""The fixture model of ``runtime_fixture`` and the ways the tests build and start it.

The fixture is a plan and kernels in C that speak TVM's ABI. It is built with gcc under sanitizers
for this machine, and with zig for the boards.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xxhash
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "templates" / "runtime"
FIXTURE = Path(__file__).parent / "runtime_fixture"
SOURCES = json.loads((RUNTIME / "sources.json").read_text())
LIBRARY = tuple(RUNTIME / name for name in SOURCES["library"])
RUNNER = tuple(RUNTIME / name for name in SOURCES["runner"])
LOADERS = {kind: RUNTIME / name for kind, name in SOURCES["loader"].items()}
KERNELS = FIXTURE / "kernels.c"

STRICT = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wshadow")
INCLUDES = ("-I", str(RUNTIME), "-I", str(FIXTURE))
SANITIZERS = {
    "none": (),
    "asan": ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    "tsan": ("-g", "-fsanitize=thread"),
}
CRASHED = 99  # what sanitizers exit with, apart from every code of the runner
SANITIZER_ENVIRONMENT = {
    "ASAN_OPTIONS": f"exitcode={CRASHED}",
    "UBSAN_OPTIONS": f"exitcode={CRASHED}",
    "TSAN_OPTIONS": f"exitcode={CRASHED}",
}

X = np.arange(1024, dtype=np.float32).reshape(4, 256)
FLAGS = np.array([1, -2, 2**62 + 1], dtype=np.int64)
INPUTS: dict[str, NDArray[Any]] = {
    "x": X,
    "bias": np.array(0.5, dtype=np.float32),
    "flags_0": FLAGS,
    "empty": np.zeros((0, 2), dtype=np.float32),
}
CONSTANT = 100 + np.arange(16, dtype=np.float32)
WEIGHTS = (X / 8).tobytes() + CONSTANT.tobytes()
SUM = X + X / 8 + np.float32(0.5)
EXPECTED: dict[str, NDArray[Any]] = {
    "layer_sum": SUM,
    "doubled": 2 * SUM,
    "flags": FLAGS,
    "constant": CONSTANT,
    "nothing": np.zeros((0, 2), dtype=np.float32),
    "counts": np.array([2, 6], dtype=np.int32),  # of two threads
}
CHECKSUM = f"-DFIXTURE_XXH64={xxhash.xxh64(WEIGHTS, seed=0).intdigest()}u"

Finished = subprocess.CompletedProcess[str]


def call(*command: str | Path, timeout_s: float = 120) -> Finished:
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
        env=os.environ | SANITIZER_ENVIRONMENT,
        check=False,
    )


@dataclass(frozen=True, kw_only=True)
class Gcc:
    """Builds programs once a session; skips where gcc or a sanitizer cannot be had."""

    folder: Path

    @functools.cache  # noqa: B019 - lives as long as the session
    def require(self, sanitizer: str) -> str | None:
        if shutil.which("gcc") is None:
            return "gcc is not installed"
        source = self.folder / "empty.c"
        source.write_text("int main(void) { return 0; }\n")
        program = self.folder / f"empty-{sanitizer}"
        built = call("gcc", *SANITIZERS[sanitizer], source, "-o", program).returncode == 0
        if built and call(program).returncode == 0:
            return None
        return f"gcc cannot build and run programs with {sanitizer}"

    @functools.cache  # noqa: B019 - lives as long as the session
    def build(self, name: str, sanitizer: str, sources: tuple[Path, ...], *flags: str) -> Path:
        missing = self.require(sanitizer)
        if missing is not None:
            pytest.skip(missing)
        output = self.folder / f"{name}-{sanitizer}"
        command = ("gcc", *STRICT, *INCLUDES, *SANITIZERS[sanitizer], *flags)
        built = call(*command, *sources, "-o", output, "-lpthread", "-ldl")
        assert built.returncode == 0, built.stderr
        return output

    def model_program(
        self, sanitizer: str, *flags: str, main: str = "api_test", plan: str = "plan"
    ) -> Path:
        name = re.sub(r"\W+", "_", f"{main}-{plan}-{'-'.join(flags)[-60:]}")
        sources = (FIXTURE / f"{main}.c", FIXTURE / f"{plan}.c", KERNELS, *LIBRARY)
        return self.build(name, sanitizer, sources, "-O1", CHECKSUM, *flags)


def fill_bundle(bundle: Path) -> None:
    (bundle / "share").mkdir(parents=True)
    (bundle / "share" / "weights.bin").write_bytes(WEIGHTS)
    for kind, tensors in (("inputs", INPUTS), ("expected", EXPECTED)):
        folder = bundle / "check" / kind
        folder.mkdir(parents=True)
        for name, value in tensors.items():
            np.save(folder / f"{name}.npy", value)
    lines = [f"{name} 1e-5 1e-5" for name in EXPECTED if name != "flags"]
    (bundle / "check" / "tolerance.txt").write_text("\n".join([*lines, "flags 0 0", ""]))


def make_bundle(gcc: Gcc, bundle: Path, sanitizer: str, *flags: str) -> Path:
    fill_bundle(bundle)
    sources = (FIXTURE / "plan.c", KERNELS, *LIBRARY)
    shared = ("-fPIC", "-fvisibility=hidden", "-shared", CHECKSUM, *flags)
    library = gcc.build("libmodel.so", sanitizer, sources, *shared)
    runner = gcc.build("run", sanitizer, (*RUNNER, LOADERS["shared"]), *flags)
    for folder, name, built in (("lib", "libmodel.so", library), ("bin", "run", runner)):
        (bundle / folder).mkdir()
        shutil.copy(built, bundle / folder / name)
    return bundle


def spoil_one_bit(path: Path) -> None:
    path.write_bytes(bytes([WEIGHTS[0] ^ 1]) + WEIGHTS[1:])


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


SPOILERS: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(WEIGHTS[:-1]),
    "too long": lambda path: path.write_bytes(WEIGHTS + b"\0"),
    "corrupt": spoil_one_bit,
    "folder": replace_by_folder,
    "fifo": replace_by_fifo,
}


def run(bundle: Path, *options: str | Path) -> Finished:
    return call(bundle / "bin" / "run", *options)


def report(bundle: Path, *options: str | Path) -> dict[str, Any]:
    finished = run(bundle, *options, "--json")
    assert finished.returncode == 0, finished.stderr
    document: dict[str, Any] = json.loads(finished.stdout)
    return document


def expect_failure(exit_code: int, bundle: Path, *options: str | Path) -> str:
    """Run twice, for people and for programs; return the one line."""
    finished = run(bundle, *options)
    assert finished.returncode == exit_code, finished.stderr
    assert finished.stderr.startswith("run: ")
    assert finished.stderr.count("\n") == 1
    as_json = run(bundle, *options, "--json")
    assert as_json.returncode == exit_code
    assert json.loads(as_json.stdout)["error"]["exit_code"] == exit_code
    return finished.stderr


def zig(*arguments: str | Path, folder: Path) -> None:
    pytest.importorskip("ziglang", reason="ziglang is not installed")
    chosen = os.environ.get("BOARDWRIGHT_TEST_ZIG_CACHE")
    cache = Path(chosen) if chosen else Path.home() / ".cache" / "boardwright-tests" / "zig"
    built = subprocess.run(
        [sys.executable, "-m", "ziglang", "cc", *map(str, arguments)],
        cwd=folder,
        env=os.environ
        | {"ZIG_GLOBAL_CACHE_DIR": str(cache), "ZIG_LOCAL_CACHE_DIR": str(cache / "local")},
        capture_output=True,
        text=True,
        timeout=900,  # the first static link builds musl
        check=False,
    )
    assert built.returncode == 0, built.stderr
