"""Whole builds for Android through the command, without an NDK and with one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from builder.bundle.archive import verify_archive
from builder.bundle.manifest import verify_bundle
from builder.model.target import ANDROID_ABIS
from builder.payload.bionic import read_symbols
from builder.toolchain import bionic
from tests.e2e.android_builds import TARGETS

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "ci" / "models" / "digits.onnx"

pytestmark = pytest.mark.timeout(900)  # the first build fills zig's cache
needs_qemu = pytest.mark.skipif(
    not (shutil.which("qemu-aarch64-static") and shutil.which("qemu-arm-static")),
    reason="qemu-user is not installed",
)


def build(
    model: Path, *targets: str, cwd: Path, cache: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    chosen = [word for target in targets for word in ("--target", target)]
    command = [sys.executable, "-m", "builder", "build", str(model), *chosen]
    environment = {key: value for key, value in os.environ.items() if key != "ANDROID_NDK_HOME"}
    own = {"PYTHONPATH": str(ROOT), "BOARDWRIGHT_CACHE_DIR": str(cache)}
    return subprocess.run(
        [*command, "--toolchain", "local", "--verify", "require"],
        cwd=cwd,
        env={**environment, **own, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def receipt(cwd: Path, model: str, target: str) -> dict[str, Any]:
    text = (cwd / "dist" / model / target / "receipt.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


@needs_qemu
def test_three_abis_from_one_model_all_verified(cache: Path, tmp_path: Path) -> None:
    done = build(DIGITS, *TARGETS.values(), cwd=tmp_path, cache=cache)
    assert done.returncode == 0, done.stdout + done.stderr
    for arch, target in TARGETS.items():
        made = receipt(tmp_path, "digits", target)
        assert made["verify"]["ok"] is True
        assert made["verify"]["where"] == ("native" if arch == "x86_64" else "qemu")
        folder = tmp_path / "dist" / "digits" / target
        verify_bundle(folder / "bundle")
        verify_archive(folder / f"digits-{target}.tar.gz")


@needs_qemu
@pytest.mark.skipif(not shutil.which("javac"), reason="no JDK is installed")
def test_an_aar_holds_the_libraries_of_the_bundles(cache: Path, tmp_path: Path) -> None:
    done = build(DIGITS, "android", "android-arm64", cwd=tmp_path, cache=cache)
    assert done.returncode == 0, done.stdout + done.stderr
    made = receipt(tmp_path, "digits", "android")
    assert (made["verify"]["ok"], made["verify"]["where"]) == (True, "qemu")
    folder = tmp_path / "dist" / "digits"
    verify_bundle(folder / "android" / "bundle")
    verify_archive(folder / "android" / "digits-android.tar.gz")
    library = (folder / "android-arm64" / "bundle" / "lib" / "libmodel.so").read_bytes()
    with zipfile.ZipFile(folder / "android" / "bundle" / "digits.aar") as aar:
        assert aar.testzip() is None
        assert aar.read("jni/arm64-v8a/libmodel.so") == library
        assert {f"jni/{abi}/libmodel_jni.so" for abi in ANDROID_ABIS.values()} <= set(
            aar.namelist()
        )


def test_without_a_java_compiler_only_the_aar_fails(cache: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "builder", "build", str(DIGITS), "--verify", "off"]
    done = subprocess.run(
        [*command, "-t", "android", "-t", "android-x86_64", "--toolchain", "local"],
        cwd=tmp_path,
        env={
            **{"PATH": "/nowhere", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
            "BOARDWRIGHT_CACHE_DIR": str(cache),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    failed = receipt(tmp_path, "digits", "android")
    assert (failed["status"], failed["error"]["reason"]) == ("failed", "javac-missing")
    assert receipt(tmp_path, "digits", "android-x86_64")["status"] == "ok"


def conversions(path: Path) -> Path:
    """A model whose kernels call what 32-bit Arm has no instructions for."""
    extents = [64]
    nodes = [
        helper.make_node("Cast", ["x"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Div", ["whole", "by"], ["quotient"]),
        helper.make_node("Mod", ["whole", "by"], ["rest"]),
        helper.make_node("Add", ["quotient", "rest"], ["both"]),
        helper.make_node("Cast", ["both"], ["y"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["x"], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("Cast", ["wide"], ["wide_whole"], to=TensorProto.INT64),
        helper.make_node("Cast", ["wide_whole"], ["wide_back"], to=TensorProto.DOUBLE),
        helper.make_node("Exp", ["wide_back"], ["z"]),
    ]
    outputs = [
        helper.make_tensor_value_info("y", TensorProto.FLOAT, extents),
        helper.make_tensor_value_info("z", TensorProto.DOUBLE, extents),
    ]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, extents)
    by = helper.make_tensor("by", TensorProto.INT64, extents, np.arange(2, 66))
    graph = helper.make_graph(nodes, "conversions", [given], outputs, [by])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path


@needs_qemu
def test_arm_without_64_bit_instructions_converts_and_divides(cache: Path, tmp_path: Path) -> None:
    model = conversions(tmp_path / "conversions.onnx")
    targets = ("android-armv7", "raspberry-pi-armv7")
    done = build(model, *targets, cwd=tmp_path, cache=cache)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(receipt(tmp_path, "conversions", t)["verify"]["ok"] for t in targets)


START_FILE = """
.section .init_array,"aw",%init_array
.quad __cxa_finalize
.quad __register_atfork
.section .note.GNU-stack,"",%progbits
"""
ZIG_CC = (sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-musl", "-nostdlib")


def sysroot(folder: Path) -> None:
    """Fill ``folder`` as an NDK does: versioned stubs, and a start file that is made for C++."""
    symbols = read_symbols(ROOT / "templates")
    (folder / "versions.map").write_text("LIBC { global: *; };\n")
    (folder / "crtbegin_so.S").write_text(START_FILE)
    subprocess.run([*ZIG_CC, "-c", "crtbegin_so.S"], cwd=folder, check=True)
    for library, more in (("libc", ("__cxa_finalize", "__register_atfork")), ("libm", ())):
        names = (*bionic.names_in(symbols, f"{library}.so", 24), *more)
        (folder / f"{library}.S").write_text(bionic.stub_source(names))
        options = ("-shared", f"-Wl,-soname,{library}.so", "-Wl,--version-script=versions.map")
        subprocess.run(
            [*ZIG_CC, *options, "-o", f"{library}.so", f"{library}.S"], cwd=folder, check=True
        )


@pytest.fixture
def stand_in_ndk(tmp_path: Path) -> Path:
    """An NDK whose clang is zig's, which links start files unless it is told not to."""
    root = tmp_path / "sysroot"
    root.mkdir()
    sysroot(root)
    program = tmp_path / "ndk/toolchains/llvm/prebuilt/linux-x86_64/bin/clang"
    program.parent.mkdir(parents=True)
    program.write_text(
        f"#!/bin/sh\nshift\necho $1 >> {tmp_path}/used\nstart={root}/crtbegin_so.o\n"
        f'for word; do shift; case "$word" in -lm) ;; -nostartfiles) start= ;; '
        f'*) set -- "$@" "$word" ;; esac; done\n'
        f'exec {" ".join(ZIG_CC)} "$@" $start {root}/libc.so {root}/libm.so\n'
    )
    program.chmod(0o755)
    (tmp_path / "ndk" / "source.properties").write_text("Pkg.Revision = 26.1.10909125\n")
    return tmp_path / "ndk"


def test_an_ndk_links_and_is_part_of_the_key(
    cache: Path, tmp_path: Path, stand_in_ndk: Path
) -> None:
    keys = []
    for variables in ({}, {"ANDROID_NDK_HOME": str(stand_in_ndk)}):
        done = build(DIGITS, "android-x86_64", cwd=tmp_path, cache=cache, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        keys.append(receipt(tmp_path, "digits", "android-x86_64")["key"])
    assert keys[0] != keys[1]
    assert (tmp_path / "used").read_text() == "-shared\n"


def test_a_wrong_ndk_is_a_matter_of_usage(cache: Path, tmp_path: Path) -> None:
    nowhere = {"ANDROID_NDK_HOME": str(tmp_path)}
    done = build(DIGITS, "android-x86_64", cwd=tmp_path, cache=cache, **nowhere)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    fine = build(DIGITS, "x86_64-linux-musl", cwd=tmp_path, cache=cache, **nowhere)
    assert fine.returncode == 0, fine.stderr


@pytest.mark.skipif("ANDROID_NDK_HOME" not in os.environ, reason="ANDROID_NDK_HOME is not set")
@needs_qemu
def test_a_real_ndk_links_all_three(cache: Path, tmp_path: Path) -> None:
    ndk = {"ANDROID_NDK_HOME": os.environ["ANDROID_NDK_HOME"]}
    done = build(DIGITS, *TARGETS.values(), cwd=tmp_path, cache=cache, **ndk)
    assert done.returncode == 0, done.stdout + done.stderr
