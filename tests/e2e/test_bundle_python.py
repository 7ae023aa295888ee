"""A bundle around a hand-made library, used as its README says: from Python and from C."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from builder.bundle.layout import BundleParts, lay_out
from builder.bundle.manifest import verify_bundle
from builder.model.tensor import Signature, TensorSpec
from tests.nouns import a_pc

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "templates"
X = np.arange(6, dtype=np.float32).reshape(2, 3)
N = np.int64(7)
B = np.array([0x3F80, 0xC000], dtype=np.uint16)  # 1.0 and -2.0
SIGNATURE = Signature(
    inputs=(
        TensorSpec(name="x", file="x", dtype="float32", shape=(2, 3)),
        TensorSpec(name="n/0", file="n%2F0", dtype="int64", shape=()),
        TensorSpec(name="b", file="b", dtype="bfloat16", shape=(2,)),
    ),
    outputs=(
        TensorSpec(name="y", file="y", dtype="float32", shape=(2, 3)),
        TensorSpec(name="m", file="m", dtype="int64", shape=()),
        TensorSpec(name="c", file="c", dtype="bfloat16", shape=(2,)),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiler:
    """The machine's own C compiler."""

    cc: str
    ar: str

    def library(self, folder: Path, abi: int = 1) -> Path:
        """Build the double as ``libmodel.so`` and ``libmodel.a`` in ``folder``."""
        options = ["-O1", "-Wall", "-Wextra", "-Werror", "-std=gnu11", f"-DDOUBLE_ABI={abi}"]
        folder.mkdir(parents=True, exist_ok=True)
        built = folder / "double.o"
        source = Path(__file__).with_name("double_model.c")
        include = f"-I{TEMPLATES / 'runtime'}"
        execute(self.cc, *options, "-fPIC", include, "-c", str(source), "-o", str(built))
        shared = ("-shared", "-Wl,-soname,libmodel.so", str(built))
        execute(self.cc, *shared, "-o", str(folder / "libmodel.so"))
        execute(self.ar, "rcs", str(folder / "libmodel.a"), str(built))
        return folder / "libmodel.so"


def execute(*argv: str, **environment: str) -> str:
    done = subprocess.run(
        argv, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def compiler() -> Compiler:
    cc, ar = shutil.which("cc"), shutil.which("ar")
    if cc is None or ar is None:
        pytest.skip("no C compiler on this machine")
    return Compiler(cc=cc, ar=ar)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, compiler: Compiler) -> Path:
    made = tmp_path_factory.mktemp("parts")
    library = compiler.library(made)
    (made / "check/inputs").mkdir(parents=True)
    (made / "check/tolerance.txt").write_text("y 0 0\n")
    (made / "weights.bin").write_bytes(b"Weights")
    (made / "run").write_text('#!/bin/sh\necho "$0" "$@"\n')
    parts = BundleParts(
        model_name="double",
        target=a_pc(),
        signature=SIGNATURE,
        shared_library=library,
        static_library=made / "libmodel.a",
        runner=made / "run",
        weights=made / "weights.bin",
        check=made / "check",
        arena_bytes=64,
        weights_bytes=7,
        versions=(("test", "1"),),
        licenses={},
    )
    folder = tmp_path_factory.mktemp("bundle dir") / "double"  # a space, as users have
    lay_out(parts, TEMPLATES, folder)
    return folder


@pytest.fixture(scope="session")
def package(bundle: Path) -> ModuleType:
    """The bundle's Python package, imported from the bundle."""
    folder = bundle / "python/boardwright_model"
    spec = importlib.util.spec_from_file_location(
        "boardwright_model", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["boardwright_model"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def model(package: ModuleType) -> Any:
    with package.Model() as model:
        yield model


def test_it_tells_what_it_takes_and_gives(model: Any) -> None:
    assert (model.name, model.target) == ("double", "this-machine")
    assert (model.threads, model.arena_bytes, model.weights_bytes) == (1, 64, 1)
    shapes = [(spec.name, spec.type, spec.shape) for spec in (*model.inputs, *model.outputs)]
    assert shapes == [(s.name, s.dtype, s.shape) for s in SIGNATURE.inputs + SIGNATURE.outputs]


@pytest.mark.parametrize("how", ["position", "mapping", "both", "list"])
def test_inputs_come_by_position_or_by_name(model: Any, how: str) -> None:
    by_name = {"x": X, "n/0": N, "b": B}
    outputs = {
        "position": lambda: model(X, N, B),
        "mapping": lambda: model(by_name),
        "both": lambda: model(X, N, b=B),
        "list": lambda: model.run([X, N, B]),
    }[how]()
    assert list(outputs) == ["y", "m", "c"]
    np.testing.assert_array_equal(outputs["y"], 2 * X + 1)
    assert outputs["m"].shape == ()
    assert outputs["m"] == 7


def test_outputs_lie_where_the_library_writes_them_in_place(model: Any) -> None:
    for array in model(X, N, B).values():
        assert array.ctypes.data % 64 == 0


def test_arrays_of_any_layout_are_taken(model: Any) -> None:
    room = bytearray(25)
    misaligned = np.frombuffer(room, np.float32, 6, offset=1).reshape(2, 3)
    misaligned[...] = X
    for same in (misaligned, np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2]):
        np.testing.assert_array_equal(model(same, N, B)["y"], 2 * X + 1)


def test_plain_numbers_take_the_type_of_the_input(model: Any) -> None:
    outputs = model(X.tolist(), 7, B)
    np.testing.assert_array_equal(outputs["y"], 2 * X + 1)
    assert outputs["m"] == 7


def test_given_outputs_are_filled(model: Any) -> None:
    packed, strided = np.empty((2, 3), np.float32), np.empty((3, 2), np.float32).T
    for out in (packed, strided):
        assert model.run([X, N, B], out={"y": out})["y"] is out
        np.testing.assert_array_equal(out, 2 * X + 1)


def test_an_output_may_be_an_input(model: Any) -> None:
    both = X.copy()
    model.run([both, N, B], out={"y": both})
    np.testing.assert_array_equal(both, 2 * X + 1)


def test_bfloat16_travels_with_and_without_its_numpy_type(model: Any) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="numpy's bfloat16 is not installed")
    typed = np.array([1.0, -2.0], dtype=ml_dtypes.bfloat16)
    for given in (B, typed):
        outputs = model(X, N, given)
        assert outputs["c"].dtype == typed.dtype
        np.testing.assert_array_equal(outputs["c"].view(np.uint16), B)
    bits = np.empty(2, np.uint16)
    model.run([X, N, B], out={"c": bits})
    np.testing.assert_array_equal(bits, B)


def test_without_ml_dtypes_bfloat16_is_its_bits(
    package: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with package.Model() as model:
        np.testing.assert_array_equal(model(X, N, B)["c"], B)


@pytest.mark.parametrize(
    ("error", "arguments", "named"),
    [
        (TypeError, (X, N), {}),
        (TypeError, (X, N, B, B), {}),
        (TypeError, (X, N, B), {"b": B}),
        (TypeError, (X, N, B), {"zebra": B}),
        (TypeError, (X.astype(np.float64), N, B), {}),
        (TypeError, (X.astype(">f4"), N, B), {}),
        (TypeError, (X, np.int32(7), B), {}),
        (TypeError, (X, N, B.astype(np.int16)), {}),
        (ValueError, (X.T, N, B), {}),
        (ValueError, (X, np.array([7]), B), {}),
        (ValueError, ([1.0, 2.0], N, B), {}),
    ],
)
def test_what_does_not_fit_is_refused(
    model: Any, error: type[Exception], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    with pytest.raises(error):
        model(*arguments, **named)


@pytest.mark.parametrize(
    ("error", "out"),
    [
        (TypeError, {"z": np.empty((2, 3), np.float32)}),
        (TypeError, {"y": np.empty((2, 3), np.float64)}),
        (TypeError, {"y": [0.0] * 6}),
        (ValueError, {"y": np.empty((3, 2), np.float32)}),
        (ValueError, {"y": np.broadcast_to(np.float32(0), (2, 3))}),
    ],
)
def test_an_output_that_does_not_fit_is_refused(
    model: Any, error: type[Exception], out: dict[str, Any]
) -> None:
    with pytest.raises(error):
        model.run([X, N, B], out=out)


def test_one_array_is_not_taken_for_a_list_of_them(model: Any) -> None:
    with pytest.raises(TypeError):
        model.run(np.stack([X, X, X]))


def test_a_failed_run_has_the_librarys_words_and_leaves_the_model_usable(
    model: Any, package: ModuleType
) -> None:
    with pytest.raises(package.ModelError) as caught:
        model(np.full((2, 3), np.nan, np.float32), N, B)
    assert caught.value.status == package.Status.KERNEL
    assert str(caught.value) == "x starts with a NaN"
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.status, str(copy)) == (6, "x starts with a NaN")
    model(X, N, B)


def test_a_refused_start_has_the_librarys_words(
    package: ModuleType, bundle: Path, tmp_path: Path
) -> None:
    library = bundle / "lib/libmodel.so"
    for status, options in (
        (package.Status.ARGUMENT, {"threads": -1}),
        (package.Status.WEIGHTS, {"bundle": tmp_path, "library": library}),
        (package.Status.THREAD, {"cores": [0, 5]}),
    ):
        with pytest.raises(package.ModelError) as caught:
            package.Model(**options)
        assert caught.value.status == status
    package.Model(bundle=tmp_path, library=library, check_weights=False).close()


def test_cores_decide_how_many_threads_there_are(package: ModuleType) -> None:
    with package.Model(cores=[0, 1]) as model:
        assert model.threads == 2
    with pytest.raises(ValueError, match="cores"):
        package.Model(threads=3, cores=[0, 1])


def test_what_is_no_model_library_is_refused(
    package: ModuleType, compiler: Compiler, tmp_path: Path
) -> None:
    (tmp_path / "text.so").write_text("no library")
    empty = tmp_path / "empty.c"
    empty.write_text("int unrelated;\n")
    execute(compiler.cc, "-shared", "-fPIC", str(empty), "-o", str(tmp_path / "empty.so"))
    newer = compiler.library(tmp_path / "newer", abi=2)
    for library in (tmp_path / "none.so", tmp_path / "text.so", tmp_path / "empty.so", newer):
        with pytest.raises(OSError, match=library.name):
            package.Model(library=library)


def test_threads_share_an_instance(model: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda i: (i, model(X + i, N, B)["y"]), range(40)))
    for i, y in results:
        np.testing.assert_array_equal(y, 2 * (X + np.float32(i)) + 1)


def test_kernels_are_timed_when_asked(model: Any) -> None:
    model(X, N, B)
    model.set_profiling(True)
    model(X, N, B)
    model(X, N, B)
    [kernel] = model.kernels()
    assert kernel.name == "fused_multiply_add"
    assert kernel.nodes == ("Mul_0", "Add_1")
    assert (kernel.calls, kernel.total_ns) == (2, 14)


def test_a_closed_model_is_of_no_use_and_closing_again_is_harmless(package: ModuleType) -> None:
    model = package.Model()
    model.close()
    model.close()
    for use in (lambda: model(X, N, B), model.kernels, lambda: model.set_profiling(True)):
        with pytest.raises(ValueError, match="closed"):
            use()


def use_after_fork(model: Any, answer: Any) -> None:
    try:
        model(X, N, B)
    except RuntimeError as error:
        answer.put(type(error).__name__)
    model.close()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_is_told_instead_of_hanging(model: Any) -> None:
    context = multiprocessing.get_context("fork")
    answer = context.SimpleQueue()
    child = context.Process(target=use_after_fork, args=(model, answer))
    child.start()
    child.join(timeout=60)
    assert child.exitcode == 0
    assert answer.get() == "RuntimeError"


def test_the_snippet_of_the_readme_runs(bundle: Path, tmp_path: Path) -> None:
    readme = (bundle / "README.md").read_text()
    snippet = readme.partition("```python\n")[2].partition("```")[0]
    snippet = snippet.replace("<this folder>", str(bundle))
    shown = execute(
        sys.executable, "-W", "error", "-c", snippet + "print(outputs['y'].sum())",
        PYTHONDONTWRITEBYTECODE="1",
    )  # fmt: skip
    assert shown == "6.0\n"
    assert not list(tmp_path.iterdir())


def test_the_c_example_builds_with_cmake_and_runs(bundle: Path, tmp_path: Path) -> None:
    cmake = shutil.which("cmake")
    if cmake is None:
        pytest.skip("no CMake on this machine")
    strict = "-DCMAKE_C_FLAGS=-Wall -Wextra -Wpedantic -Werror"
    execute(cmake, "-S", str(bundle / "examples/c"), "-B", str(tmp_path / "build"), strict)
    execute(cmake, "--build", str(tmp_path / "build"))
    for program in ("example-model", "example-model-static"):
        shown = execute(str(tmp_path / "build" / program))
        assert shown.splitlines() == ["y: 24 bytes 1 1 1 1 1 1", "m: 8 bytes", "c: 4 bytes"]
    failed = subprocess.run(
        [tmp_path / "build/example-model", "no-weights"], capture_output=True, check=False
    )
    assert (failed.returncode, failed.stdout) == (1, b"")
    assert b"not the weights of this library" in failed.stderr


def test_run_sh_starts_the_runner_from_anywhere(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(bundle / "run.sh")
    for script in (bundle / "run.sh", tmp_path / "link"):
        shown = execute(str(script), "--inputs", "a b")
        assert shown == f"{bundle.resolve()}/bin/run --inputs a b\n"


def test_a_bundle_that_was_used_is_still_whole(bundle: Path, package: ModuleType) -> None:
    assert package.__file__ is not None
    assert Path(package.__file__).is_relative_to(bundle)
    verify_bundle(bundle)
