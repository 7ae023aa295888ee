"""The Java API of an AAR on a desktop JVM, over the same glue and a library for this machine."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from builder.bundle.manifest import read_manifest
from builder.payload.java import compile_java
from tests.e2e.android_builds import STAND_IN, zig

ROOT = Path(__file__).parents[2]
ANDROID = ROOT / "templates" / "android"
DIGITS = ROOT / "ci" / "models" / "digits.onnx"
YUNET = ROOT.parent / "shared" / "models" / "yunet-n-320.onnx"

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not (shutil.which("javac") and shutil.which("java")), reason="no JDK is installed"
    ),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the build is for x86-64"),
]


@dataclass(frozen=True, kw_only=True)
class Desktop:
    """Compiled classes, and a model built for this machine with the glue beside it."""

    classes: tuple[Path, ...]
    bundle: Path
    libraries: Path
    folder: Path

    def play(self, scenario: str) -> str:
        """Run a scenario of ``Desktop.java``; return what it printed."""
        path = os.pathsep.join(map(str, self.classes))
        arguments = (scenario, self.bundle / "share" / "weights.bin", self.folder)
        options = ("-Xcheck:jni", f"-Djava.library.path={self.libraries}", "-cp", path)
        done = subprocess.run(
            ["java", *options, "Desktop", *map(str, arguments)],
            env={**os.environ, "LD_LIBRARY_PATH": str(self.libraries)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "WARNING" not in done.stdout, done.stdout  # of -Xcheck:jni
        return done.stdout


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Compile what ships as the payload does, and the test's own classes against it."""
    folder = tmp_path_factory.mktemp("java")
    compile_java(ROOT / "templates", folder / "api", print)
    stubs = sorted((ANDROID / "java-stubs" / "android").rglob("*.java"))
    own = sorted((STAND_IN / "java").glob("*.java"))
    made = folder / "test"
    made.mkdir()
    javac = ("javac", "--release", "8", "-Xlint:-options", "-cp", str(folder / "api"))
    subprocess.run([*javac, "-d", str(made), *map(str, (*stubs, *own))], check=True)
    return folder / "api", made


def built(model: Path, folder: Path, cache: Path) -> Path:
    command = [sys.executable, "-m", "builder", "build", str(model), "-t", "x86_64-linux"]
    subprocess.run(
        [*command, "--toolchain", "local"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "BOARDWRIGHT_CACHE_DIR": str(cache)},
        capture_output=True,
        check=True,
    )
    return folder / "dist" / model.stem / "x86_64-linux" / "bundle"


def build_glue(libraries: Path, *others: Path) -> None:
    """Compile what lies between Java and the model, with ``others`` in the model's stead."""
    sources = (f"-I{ROOT}/templates/runtime", str(ANDROID / "jni.c"), *map(str, others))
    defines = '-DBW_WEIGHTS_ASSET="boardwright/test.weights"'
    made = ("-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-std=gnu11", defines)
    out = ("-o", str(libraries / "libmodel_jni.so"), str(libraries / "libmodel.so"))
    zig(libraries).run(("cc", "-target", "x86_64-linux-gnu.2.17", *made, *sources, *out))


@pytest.fixture(scope="module", params=[DIGITS, YUNET], ids=lambda model: model.stem)
def desktop(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    cache: Path,
    classes: tuple[Path, ...],
) -> Iterator[Desktop]:
    model: Path = request.param
    if not model.exists():
        pytest.skip("the shared models are not beside this checkout")
    folder = tmp_path_factory.mktemp("desktop")
    bundle = built(model, folder, cache)
    libraries = folder / "libraries"
    libraries.mkdir()
    shutil.copy(bundle / "lib" / "libmodel.so", libraries)
    build_glue(libraries)
    for index, spec in enumerate(read_manifest(bundle).signature.inputs):
        array = np.load(bundle / "check" / "inputs" / f"{spec.file}.npy")
        (folder / f"in-{index}").write_bytes(array.tobytes())
    yield Desktop(classes=classes, bundle=bundle, libraries=libraries, folder=folder)


def test_it_describes_the_model(desktop: Desktop) -> None:
    said = desktop.play("describe").splitlines()
    manifest = read_manifest(desktop.bundle)
    assert said[0] == f"{manifest.model} 2"
    for line, (kind, spec) in zip(
        said[1:],
        [
            *(("in", spec) for spec in manifest.signature.inputs),
            *(("out", spec) for spec in manifest.signature.outputs),
        ],
        strict=True,
    ):
        size = np.dtype(spec.dtype).itemsize * int(np.prod(spec.shape))
        shape = ", ".join(map(str, spec.shape))
        assert line == f"{kind} {spec.name}: {spec.dtype.upper()}[{shape}] {size}"


def test_it_computes_what_onnx_runtime_does(desktop: Desktop) -> None:
    desktop.play("run")
    tolerances = (desktop.bundle / "check" / "tolerance.txt").read_text().splitlines()
    limits = {stem: (float(a), float(r)) for stem, a, r in map(str.split, tolerances)}
    for index, spec in enumerate(read_manifest(desktop.bundle).signature.outputs):
        expected = np.load(desktop.bundle / "check" / "expected" / f"{spec.file}.npy")
        raw = (desktop.folder / f"out-{index}").read_bytes()
        actual = np.frombuffer(raw, dtype=spec.dtype).reshape(spec.shape)
        absolute, relative = limits[spec.file]
        np.testing.assert_allclose(actual, expected, atol=absolute, rtol=relative)


@pytest.mark.parametrize("scenario", ["concurrency", "closing", "misuse", "weights"])
def test_it_is_safe(desktop: Desktop, scenario: str) -> None:
    desktop.play(scenario)


def test_failures_of_runs_beside_each_other_are_told_apart(desktop: Desktop) -> None:
    libraries = desktop.folder / "failing"
    libraries.mkdir()
    shutil.copy(desktop.libraries / "libmodel.so", libraries)
    build_glue(libraries, STAND_IN / "failing_run.c")
    replace(desktop, libraries=libraries).play("failing")


def test_the_glue_knows_jni_as_a_jdk_declares_it(tmp_path: Path) -> None:
    java = shutil.which("javac")
    assert java is not None
    include = Path(java).resolve().parents[1] / "include"
    if not (include / "jni.h").exists() or shutil.which("gcc") is None:
        pytest.skip("the JDK's headers or gcc are not installed")
    indices = {
        "DELETE_LOCAL_REF": "DeleteLocalRef",
        "GET_ARRAY_LENGTH": "GetArrayLength",
        "GET_OBJECT_ARRAY_ELEMENT": "GetObjectArrayElement",
        "NEW_BYTE_ARRAY": "NewByteArray",
        "NEW_LONG_ARRAY": "NewLongArray",
        "GET_BYTE_ARRAY_REGION": "GetByteArrayRegion",
        "SET_BYTE_ARRAY_REGION": "SetByteArrayRegion",
        "SET_LONG_ARRAY_REGION": "SetLongArrayRegion",
        "GET_DIRECT_BUFFER_ADDRESS": "GetDirectBufferAddress",
    }
    lines = [
        f"_Static_assert(offsetof(struct JNINativeInterface_, {function}) == "
        f'JNI_{name} * sizeof(void *), "{function}");'
        for name, function in indices.items()
    ]
    for own, theirs in (("jni_int", "jint"), ("jni_long", "jlong"), ("uint8_t", "jboolean")):
        lines.append(f'_Static_assert(sizeof({own}) == sizeof({theirs}), "{theirs}");')
    source = tmp_path / "agree.c"
    headers = '#include <jni.h>\n#include "jni_calls.h"\n'
    source.write_text(headers + "\n".join(lines) + "\nint main(void) { return 0; }\n")
    places = (include, include / "linux", ANDROID)
    command = ["gcc", "-std=c11", *(f"-I{place}" for place in places), "-c", str(source)]
    subprocess.run([*command, "-o", str(tmp_path / "agree.o")], check=True)
