from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from builder.fingerprint import PayloadIdentity, key
from builder.model.binding import Binding
from builder.model.toolchain import ContextFile, ImageToolchain
from builder.planning import plan
from builder.steps import Prepare, Verify
from tests.nouns import EMULATING, LOCAL, PAYLOAD, a_pc, a_request, a_source, a_target


def verify_step() -> Verify:
    goal = plan(a_request(), [a_target()], a_source(), lambda _: LOCAL).goals[0]
    assert goal.verify is not None
    assert isinstance(goal.verify.step, Verify)
    return goal.verify.step


def prepare_step() -> Prepare:
    return verify_step().assembled.compiled.prepared


def test_keys_are_the_golden_ones(golden: Callable[[str, Any], None]) -> None:
    targets = [a_target(), a_pc()]
    planned = plan(a_request(machine=EMULATING), targets, a_source(), lambda _: LOCAL)
    golden("keys", [[step.kind, step.key] for step in planned.steps])


def test_the_same_files_elsewhere_are_the_same_step() -> None:
    moved = dataclasses.replace(prepare_step(), source=a_source(root="/elsewhere"))
    assert key(moved, PAYLOAD) == key(prepare_step(), PAYLOAD)


@pytest.mark.parametrize(
    "change",
    [
        {"source": a_source(sha256="b" * 64)},
        {"source": a_source("renamed.onnx")},
        {"check_inputs": a_source("inputs.npz")},
        {"frozen_inputs": a_source("constants.npz")},
        {"binding": Binding()},
        {"binding": Binding(shapes=(("input", (2, 1, 28, 28)),))},
        {"binding": Binding(dims=(("batch", 2),))},
        {"binding": Binding(frozen=(("input", "2"),))},
        {"seed": 1},
        {"toolchain": dataclasses.replace(LOCAL, versions=())},
        {"toolchain": ImageToolchain(dockerfile="FROM scratch\n", context=())},
    ],
)
def test_everything_that_goes_in_counts(change: dict[str, Any]) -> None:
    assert key(dataclasses.replace(prepare_step(), **change), PAYLOAD) != key(
        prepare_step(), PAYLOAD
    )


def test_a_change_at_the_bottom_reaches_the_top() -> None:
    before = plan(a_request(), [a_target()], a_source(), lambda _: LOCAL)
    after = plan(a_request(), [a_target()], a_source(sha256="b" * 64), lambda _: LOCAL)
    changed = {step.kind for step in after.steps} - {
        step.kind for step in after.steps if step.key in {other.key for other in before.steps}
    }
    assert changed == {"Prepare", "Compile", "Assemble", "Verify"}


def test_the_payload_counts() -> None:
    other = PayloadIdentity(sources="6" * 64)
    assert key(prepare_step(), other) != key(prepare_step(), PAYLOAD)


def test_the_image_context_counts() -> None:
    def with_file(text: str) -> str:
        context = (ContextFile(path="requirements.lock", text=text),)
        toolchain = ImageToolchain(dockerfile="FROM scratch\n", context=context)
        return key(dataclasses.replace(prepare_step(), toolchain=toolchain), PAYLOAD)

    assert with_file("numpy==2") != with_file("numpy==3")


def test_fields_cannot_be_confused_with_each_other() -> None:
    def with_shapes(*shapes: tuple[str, tuple[int, ...]]) -> str:
        return key(dataclasses.replace(prepare_step(), binding=Binding(shapes=shapes)), PAYLOAD)

    assert with_shapes(("a", (1, 2))) != with_shapes(("a", (12,)))
    assert with_shapes(("a", ()), ("b", ())) != with_shapes(("ab", ()))


def test_a_value_without_canonical_form_is_refused() -> None:
    odd: Any = {"model_name": object()}
    with pytest.raises(TypeError):
        key(dataclasses.replace(verify_step().assembled, **odd), PAYLOAD)
