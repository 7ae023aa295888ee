"""What is said in a Python environment that another package has broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

import pytest

from builder.effects.payload_imports import Unmet, try_imports

REPOSITORY = Path(__file__).parents[2]
DIGITS = REPOSITORY / "ci" / "models" / "digits.onnx"
GENCODE = """
class VersionError(Exception):
    pass
raise VersionError("Detected mismatched Protobuf Gencode/Runtime major versions")
"""


class Environment:
    """A virtual environment with all that this one has, behind what is put into it."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=False)
        self.python = str(folder / "bin" / "python")
        [self.packages] = folder.glob("lib/python3*/site-packages")
        base = sysconfig.get_paths()["purelib"]
        (self.packages / "base.pth").write_text(f"{base}\n{REPOSITORY}\n")

    def put(self, module: str, text: str) -> None:
        (self.packages / f"{module}.py").write_text(text)

    def put_distribution(self, name: str, version: str) -> None:
        folder = self.packages / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}")

    def boardwright(self, *arguments: str | Path) -> tuple[int, dict[str, Any]]:
        """Run a verb with ``--json``; return the exit code and what it printed."""
        cache = self.packages / "cache"
        done = subprocess.run(
            (self.python, "-m", "builder", *map(str, arguments), "--json"),
            cwd=self.packages,
            env={**os.environ, "BOARDWRIGHT_CACHE_DIR": str(cache)},
            capture_output=True,
            check=False,
        )
        return done.returncode, json.loads(done.stdout)

    def build(self) -> tuple[int, str]:
        code, said = self.boardwright(
            "build", DIGITS, "--target", "x86_64-linux", "--toolchain", "local"
        )
        return code, said["error"]["reason"]


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path / "environment")


def test_the_environment_of_the_suite_is_whole() -> None:
    imports = try_imports(sys.executable, ("onnx", "xxhash"), os.environ)
    assert (dict(imports.faults), imports.unmet) == ({}, ())


def test_each_import_is_judged_even_where_one_kills_the_process(environment: Environment) -> None:
    environment.put("onnx", GENCODE)
    environment.put("xxhash", "import os; os.abort()")
    imports = try_imports(environment.python, ("xxhash", "onnx", "jinja2"), os.environ)
    assert imports.faults.keys() == {"xxhash", "onnx"}
    assert "-6" in imports.faults["xxhash"]
    assert "Gencode" in imports.faults["onnx"]


def test_a_requirement_that_is_not_met_is_found_below_what_is_pinned(
    environment: Environment,
) -> None:
    environment.put_distribution("protobuf", "5.29.5")
    imports = try_imports(environment.python, ("onnx",), os.environ)
    assert [unmet for unmet in imports.unmet if unmet.owner == "onnx"] == [
        Unmet(name="protobuf", found="5.29.5", wanted=">=6.31.1", owner="onnx")
    ]


@pytest.mark.parametrize("module", ["onnx", "xxhash", "onnxruntime"])
def test_a_build_names_the_broken_environment(environment: Environment, module: str) -> None:
    environment.put(module, GENCODE)
    assert environment.build() == (2, "broken-environment")


def test_a_library_that_cannot_be_loaded_is_a_broken_environment(environment: Environment) -> None:
    environment.put("onnxruntime", 'raise OSError("libfoo.so.1: undefined symbol")')
    assert environment.build() == (2, "broken-environment")


def test_another_version_of_what_writes_bundles_is_refused(environment: Environment) -> None:
    environment.put_distribution("apache_tvm_ffi", "0.1.15.post2")
    assert environment.build() == (2, "broken-environment")


def test_doctor_fails_and_names_what_mends_it(environment: Environment) -> None:
    environment.put("onnx", GENCODE)
    environment.put_distribution("protobuf", "5.29.5")
    code, said = environment.boardwright("doctor")
    states = {check["name"]: check["state"] for check in said["checks"]}
    assert (code, states["onnx"], states["protobuf"]) == (2, "missing", "missing")
    assert "protobuf==" in said["remedy"]
