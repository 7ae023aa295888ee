"""A bundle's parts made of small files, for a board that does not exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.bundle.layout import BundleParts
from builder.model.tensor import Signature, TensorSpec
from tests.nouns import a_target


@pytest.fixture
def templates() -> Path:
    return Path(__file__).parents[3] / "templates"


@pytest.fixture
def parts(tmp_path: Path) -> BundleParts:
    made = tmp_path / "parts"
    for path in ("check/inputs/x.npy", "check/expected/y.npy", "check/tolerance.txt"):
        _write(made / path, path.encode())
    return BundleParts(
        model_name="tiny",
        target=a_target(),
        signature=Signature(
            inputs=(TensorSpec(name="x", file="x", dtype="float32", shape=(1, 3)),),
            outputs=(TensorSpec(name="y", file="y", dtype="int64", shape=()),),
        ),
        shared_library=_write(made / "libmodel.so", b"shared"),
        static_library=_write(made / "libmodel.a", b"static"),
        runner=_write(made / "run", b"runner"),
        weights=_write(made / "weights.bin", bytes(range(256)) * 9),
        check=made / "check",
        arena_bytes=640,
        weights_bytes=2304,
        versions=(("boardwright", "0.1.0"), ("zig", "0.0")),
        licenses={"zig": _write(made / "LICENSE", b"MIT")},
    )


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
