from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.effects.payload_identity import (
    PAYLOAD_SOURCES,
    digest,
    installed_versions,
    payload_identity,
)
from builder.package_files import package_root, templates_root


def imported(module: Path) -> Iterator[str]:
    """Give the modules of this package that ``module`` imports anywhere in its text."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def file_of(name: str) -> Path | None:
    parts = name.split(".")
    if parts[0] != "builder":
        return None
    place = package_root().joinpath(*parts[1:])
    candidates = (place.with_suffix(".py"), place / "__init__.py")
    return next((file for file in candidates if file.is_file()), None)


def closure(start: Path) -> set[Path]:
    seen, waiting = set[Path](), [start]
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting += [file for name in imported(module) if (file := file_of(name))]
    return seen


def test_all_code_that_the_payload_runs_counts() -> None:
    run = closure(package_root() / "payload" / "__main__.py")
    counted = {package_root() / source for source in PAYLOAD_SOURCES}
    assert [path for path in sorted(run) if not counted & {path, *path.parents}] == []


def test_nothing_else_counts() -> None:
    run = closure(package_root() / "payload" / "__main__.py")
    counted = {package_root() / source for source in PAYLOAD_SOURCES}
    unused = [path for path in counted if not any(path in (f, *f.parents) for f in run)]
    assert unused == []


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.py").write_text("1", encoding="utf-8")
    (tmp_path / "b.py").write_text("2", encoding="utf-8")
    return tmp_path


def test_a_digest_is_of_names_and_contents(package: Path) -> None:
    before = digest(package, ["a", "b.py"])
    assert digest(package, ["b.py", "a"]) == before
    (package / "a" / "one.py").write_text("3", encoding="utf-8")
    changed = digest(package, ["a", "b.py"])
    (package / "a" / "one.py").rename(package / "a" / "two.py")
    assert len({before, changed, digest(package, ["a", "b.py"])}) == 3


def test_compiled_files_do_not_count(package: Path) -> None:
    before = digest(package, ["a", "b.py"])
    (package / "a" / "__pycache__").mkdir()
    (package / "a" / "__pycache__" / "one.pyc").write_bytes(b"\0")
    assert digest(package, ["a", "b.py"]) == before


def test_dockerfiles_belong_to_the_toolchain(tmp_path: Path) -> None:
    def identity() -> str:
        return payload_identity(package_root(), tmp_path).sources

    (tmp_path / "runtime").mkdir()
    (tmp_path / "toolchain").mkdir()
    before = identity()
    (tmp_path / "toolchain" / "Dockerfile.j2").write_text("FROM x", encoding="utf-8")
    assert identity() == before
    (tmp_path / "runtime" / "runtime.c").write_text("int x;", encoding="utf-8")
    assert identity() != before


def test_this_payload_has_an_identity() -> None:
    assert len(payload_identity(package_root(), templates_root()).sources) == 64


def test_versions_are_those_of_the_first_place_they_are_found(tmp_path: Path) -> None:
    for name in ("first/onnx_thing-1.2", "second/onnx_thing-3", "second/Other-1"):
        (tmp_path / f"{name}.dist-info").mkdir(parents=True)
    places = [str(tmp_path / "none"), str(tmp_path / "first"), str(tmp_path / "second")]
    wanted = ["onnx-thing", "other", "absent"]
    assert installed_versions(wanted, places) == {"onnx-thing": "1.2", "other": "1"}
