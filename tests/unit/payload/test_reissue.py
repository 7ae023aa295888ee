"""A bundle with other check data: whole, sealed, and no more lenient than it must be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from builder.bundle.archive import pack
from builder.bundle.layout import seal
from builder.bundle.manifest import Memory, verify_bundle
from builder.model.tensor import Signature, TensorSpec
from builder.payload.reissue import reissue

SIGNATURE = Signature(
    inputs=(TensorSpec(name="x", file="x", dtype="float32", shape=(2,)),),
    outputs=(
        TensorSpec(name="fixed", file="fixed", dtype="float32", shape=(16,)),
        TensorSpec(name="jumps", file="jumps", dtype="int64", shape=(16,)),
    ),
)


def check_data(folder: Path, jumps: int) -> Path:
    for kind in ("inputs", "expected"):
        (folder / kind).mkdir(parents=True)
    np.save(folder / "inputs/x.npy", np.full(2, jumps, np.float32))
    np.save(folder / "expected/fixed.npy", np.zeros(16, np.float32))
    np.save(folder / "expected/jumps.npy", np.full(16, jumps))
    (folder / "tolerance.txt").write_text("fixed 1e-05 0\njumps 0 0\n")
    return folder


@pytest.fixture
def assembled(tmp_path: Path) -> Path:
    folder = tmp_path / "assembled"
    check_data(folder / "bundle/check", 0)
    (folder / "bundle/bin").mkdir()
    (folder / "bundle/bin/run").write_text("the runner")
    memory = Memory(arena_bytes=1, weights_bytes=2)
    seal(
        folder / "bundle",
        model="m",
        target="t",
        signature=SIGNATURE,
        memory=memory,
        versions={"onnx": "1"},
    )
    digest = pack(folder / "bundle", folder / "bundle.tar.gz", "m-t")
    assembly = {"sha256": digest, "sizes": {"archive": 1, "library": 5}}
    (folder / "assembly.json").write_text(json.dumps(assembly))
    return folder


def reissued(tmp_path: Path, assembled: Path, wrong: int | None) -> Path:
    check = check_data(tmp_path / "other", 7)
    (output := tmp_path / "output").mkdir()
    computed = None
    if wrong is not None:
        (computed := tmp_path / "computed").mkdir()
        np.save(computed / "fixed.npy", np.zeros(16, np.float32))
        np.save(computed / "jumps.npy", np.where(np.arange(16) < wrong, 8, 7))
    bundle = reissue(assembled, check, output, computed=computed)
    verify_bundle(bundle)
    assembly = json.loads((output / "assembly.json").read_text())
    before = json.loads((assembled / "assembly.json").read_text())
    assert assembly["sha256"] != before["sha256"]
    assert assembly["sizes"]["archive"] == (output / "bundle.tar.gz").stat().st_size
    assert assembly["sizes"]["library"] == 5
    return bundle


def test_other_inputs_are_checked_as_strictly(tmp_path: Path, assembled: Path) -> None:
    bundle = reissued(tmp_path, assembled, None)
    assert (bundle / "check/tolerance.txt").read_text() == "fixed 1e-05 0\njumps 0 0\n"
    assert np.load(bundle / "check/inputs/x.npy").tolist() == [7, 7]
    assert (bundle / "bin/run").read_text() == "the runner"


@pytest.mark.parametrize(("wrong", "room"), [(1, 8), (2, 8), (3, 16), (16, 16)])
def test_only_an_output_that_jumps_may_differ(
    tmp_path: Path, assembled: Path, wrong: int, room: int
) -> None:
    bundle = reissued(tmp_path, assembled, wrong)
    lines = (bundle / "check/tolerance.txt").read_text().splitlines()
    assert lines == ["fixed 1e-05 0", f"jumps 0 0 {room}"]
