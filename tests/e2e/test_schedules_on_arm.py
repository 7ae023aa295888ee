"""Every family of schedules over odd shapes, compiled for Arm and run there under qemu."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from builder.payload.tools import find_program
from ci.conformance.__main__ import one_cpu
from ci.conformance.building import Workplace
from ci.conformance.cases import Case
from ci.conformance.running import run
from tests.unit.compiler.models import model
from tests.unit.compiler.test_attention import biased, causal, scaled
from tests.unit.compiler.test_kernels import conv_chain, product, responses


def convolutions() -> Iterator[onnx.ModelProto]:
    """Yield convolutions by each way that there is: direct, grouped, depthwise, Winograd."""
    yield conv_chain(5, 19, 11, 13)
    yield conv_chain(16, 32, 15, 17, strides=(2, 2))
    yield conv_chain(16, 8, 12, 12, kernel=(5, 3), dilations=(2, 1), pads=(4, 1, 4, 1))
    yield conv_chain(5, 19, 9, 67)
    yield conv_chain(40, 24, 9, 7, kernel=(1, 1), pads=(0, 0, 0, 0))
    yield conv_chain(288, 256, 12, 12, kernel=(1, 1), pads=(0, 0, 0, 0))
    yield conv_chain(7, 7, 10, 9, groups=7)
    yield conv_chain(32, 32, 10, 41, groups=32, strides=(2, 1))
    yield conv_chain(16, 32, 9, 8, groups=16)
    yield conv_chain(72, 48, 6, 5, groups=3)
    yield conv_chain(68, 136, 9, 8, groups=4, kernel=(1, 1), pads=(0, 0, 0, 0))
    yield conv_chain(32, 64, 15, 14)
    yield conv_chain(48, 48, 37, 30)
    yield conv_chain(32, 32, 7, 8)


def rows() -> Iterator[onnx.ModelProto]:
    """Yield products, attention, and what works on rows."""
    for shape in ((1, 64, 64), (1, 30, 10), (13, 48, 40), (32, 17, 33), (64, 64, 96), (7, 5, 3)):
        yield product(*shape)
    for attention in (scaled, biased, causal):
        yield attention(13, 21)
    for length in (16, 37, 64):
        yield rowwise("Softmax", length, axis=-1)
        yield rowwise("ReduceMean", length, axes=[-1])
        yield rowwise("ReduceMax", length, axes=[0])


def images() -> Iterator[onnx.ModelProto]:
    """Yield pools and local responses."""
    for operator in ("MaxPool", "AveragePool"):
        pool = helper.make_node(
            operator, ["c"], ["y"], kernel_shape=[3, 3], strides=[2, 1], pads=[1, 1, 1, 1]
        )
        stem = helper.make_node("Conv", ["x", "w"], ["c"])
        weights = {"w": np.ones((19, 3, 1, 1), np.float32)}
        yield model(
            [stem, pool], inputs={"x": [1, 3, 11, 35]}, outputs={"y": None}, weights=weights
        )
    yield responses(19, 5, 9, 5, 0.75)


def rowwise(operator: str, length: int, **attributes: object) -> onnx.ModelProto:
    node = helper.make_node(operator, ["x"], ["y"], **attributes)
    return model([node], inputs={"x": [9, length]}, outputs={"y": None})


def case(number: int, made: onnx.ModelProto) -> Case:
    """Return a model with seeded inputs and what ONNX Runtime makes of them."""
    session = onnxruntime.InferenceSession(made.SerializeToString())
    random = np.random.default_rng(number)
    feed = {
        given.name: random.standard_normal(given.shape).astype(np.float32)
        for given in session.get_inputs()
    }
    made_there = session.run(None, feed)
    names = [output.name for output in session.get_outputs()]
    largest = max(float(np.abs(values).max()) for values in made_there)
    return Case(
        name=f"schedule {number}",
        operator=made.graph.node[-1].op_type,
        model=made,
        inputs=feed,
        outputs=dict(zip(names, made_there, strict=True)),
        frozen=frozenset(),
        rtol=0.0,
        atol=2e-5 * max(1.0, largest),
    )


@pytest.mark.slow
@pytest.mark.qemu
@pytest.mark.parametrize("name", ["raspberry-pi-4", "raspberry-pi-armv7"])
def test_every_family_is_right_on_arm(tmp_path: Path, name: str) -> None:
    target = one_cpu(name)
    assert target.emulator is not None
    if find_program(target.emulator.qemu) is None:
        pytest.skip(f"{target.emulator.qemu} is not installed")
    cases = {n: case(n, made) for n, made in enumerate([*convolutions(), *rows(), *images()])}
    place = Workplace(folder=tmp_path, target=target, processes=2, limit_s=120)
    found = run(cases, place)
    assert [(each.name, each.operator, each.reason) for each in found if not each.passes] == []
    logs = "".join(path.read_text(encoding="utf-8") for path in tmp_path.glob("*/log.txt"))
    assert "does not fit" not in logs
