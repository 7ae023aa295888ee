"""One bundle on trial: the sets it is run on, what each comes to, and what a board then checks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import helper

from builder.bundle.archive import pack
from builder.bundle.layout import seal
from builder.bundle.manifest import Memory
from builder.compiler.prepare.pipeline import prepare
from builder.compiler.signature import read_signature
from builder.model.bisection import Bisection
from builder.payload import verify
from builder.payload.comparison import compare_outputs
from builder.payload.emulated import Runner
from builder.planning import plan
from builder.steps import Verify
from tests.nouns import EMULATING, LOCAL, a_pc, a_request, a_source
from tests.unit.compiler.models import model

Array = npt.NDArray[Any]
Sum = Callable[[Array], Array]


def steps(x: Array) -> Array:
    """Return sums that all but are whole numbers, in float32."""
    return np.asarray(x * np.float32(1e-9) + np.float32(2))


def floored() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Mul", ["x", "w"], ["m"], name="m"),
        helper.make_node("Add", ["m", "b"], ["s"], name="s"),
        helper.make_node("Floor", ["s"], ["f"], name="floor"),
        helper.make_node("Mul", ["f", "b"], ["y"], name="y"),
    ]
    weights = {"w": np.float32(1e-9).reshape(1), "b": np.float32(2).reshape(1)}
    return model(nodes, inputs={"x": [4, 8]}, outputs={"y": [4, 8]}, weights=weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle(Runner):
    """A bundle that computes ``floor(sums(x)) * 2``, and ``behind`` of that.

    What it hands out is ``delivered`` of what its last kernel wrote, in a run that is looked into
    as in others.
    """

    sums: Sum
    behind: Sum
    delivered: Sum

    def _run_on(self, inputs: Path) -> dict[str, Array]:
        x = np.load(inputs / "x.npy")
        s = self.sums(x)
        f = np.floor(s)
        return {"s": s, "f": f, "y": self.behind(f * np.float32(2))}

    def infer(self, inputs: Path, computed: Path) -> None:
        computed.mkdir()
        np.save(computed / "y.npy", self.delivered(self._run_on(inputs)["y"]))

    def check(self, computed: Path) -> bool:
        self.infer(self.bundle / "check/inputs", computed)
        check = self.bundle / "check"
        signature = read_signature(self.bundle.parent.parent / "prepared")
        return all(entry.ok for entry in compare_outputs(signature, computed, check))

    def dump(self, inputs: Path, dump: Path) -> None:
        dump.mkdir()
        nodes = {"s": ["m", "s"], "f": ["floor"], "y": ["y"]}
        tensors = []
        for at, (name, value) in enumerate(self._run_on(inputs).items()):
            np.save(dump / f"{at}-0.npy", value)
            entry = {"file": f"{at}-0", "kernel": f"k{at}", "dtype": "float32"}
            tensors.append(entry | {"nodes": nodes[name]})
        np.save(dump / "input-0.npy", np.load(inputs / "x.npy"))
        np.save(dump / "output-0.npy", self.delivered(self._run_on(inputs)["y"]))
        (dump / "dump.json").write_text(json.dumps({"tensors": tensors}))


def tried(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    sums: Sum = steps,
    behind: Sum = lambda value: value,
    delivered: Sum = lambda value: value,
) -> dict[str, Any]:
    """Verify such a bundle; return what ``verification.json`` says."""
    onnx.save(floored(), folder / "m.onnx")
    for name in ("prepared", "assembled", "output"):
        (folder / name).mkdir()
    prepared, assembled, output = folder / "prepared", folder / "assembled", folder / "output"
    prepare(folder / "m.onnx", seed=0, output=prepared, log=lambda _: None)
    for path in (prepared / "check").rglob("*.*"):
        place = assembled / "bundle/check" / path.relative_to(prepared / "check")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
    seal(
        assembled / "bundle",
        model="m",
        target="t",
        signature=read_signature(prepared),
        memory=Memory(arena_bytes=0, weights_bytes=0),
        versions={},
    )
    digest = pack(assembled / "bundle", assembled / "bundle.tar.gz", "m-t")
    (assembled / "assembly.json").write_text(json.dumps({"sha256": digest, "sizes": {}}))

    def runner(*, prefix: tuple[str, ...], bundle: Path, log: Any) -> Bundle:
        return Bundle(
            prefix=prefix, bundle=bundle, log=log, sums=sums, behind=behind, delivered=delivered
        )

    monkeypatch.setattr(verify, "Runner", runner)
    made = plan(a_request(machine=EMULATING), [a_pc()], a_source(), lambda _: LOCAL)
    step = made.goals[0].verify
    assert step is not None
    assert isinstance(step.step, Verify)
    verify.verify(
        step.step, prepared=prepared, assembled=assembled, output=output, log=lambda _: None
    )
    found: dict[str, Any] = json.loads((output / "verification.json").read_text())
    return found


def verdicts(found: dict[str, Any]) -> dict[str, tuple[bool | None, str | None]]:
    return {each["name"]: (each["ok"], each["judged"]) for each in found["sets"]}


def lower(x: Array) -> Array:
    """Return the same sums, every other one a unit lower: their floor is another."""
    return np.where(np.arange(x.size).reshape(x.shape) % 2, steps(x), np.float32(2) - 2e-7).astype(
        np.float32
    )


def test_a_right_bundle_is_right_for_every_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tried(tmp_path, monkeypatch)
    assert found["ok"] is True
    assert set(verdicts(found).values()) == {(True, "outputs")}
    assert list(verdicts(found)) == ["seeded", "large", "zeros", "negative", "equal"]
    assert sorted(path.name for path in (tmp_path / "output").iterdir()) == ["verification.json"]


def test_where_every_set_jumps_some_elements_may_differ_on_a_board(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tried(tmp_path, monkeypatch, lower)
    assert found["ok"] is True
    assert set(verdicts(found).values()) == {(True, "pieces")}
    reasons = [each["reason"] for each in found["cautions"]]
    assert reasons.count("jump") == 5
    assert reasons[-1] == "check-relaxed"
    line = (tmp_path / "output/bundle/check/tolerance.txt").read_text().split()
    assert line[0] == "y"
    assert line[3] == "32"
    assert (tmp_path / "output/assembly.json").is_file()
    assert not (tmp_path / "output/bisect").exists()


def test_other_inputs_are_shipped_where_they_do_not_jump(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sums(x: Array) -> Array:
        seeded = np.load(tmp_path / "prepared/check/inputs/x.npy")
        return lower(x) if np.array_equal(x, seeded) else steps(x)

    found = tried(tmp_path, monkeypatch, sums)
    assert found["ok"] is True
    assert verdicts(found)["seeded"] == (True, "pieces")
    assert verdicts(found)["seed-1"] == (True, "outputs")
    assert found["max_abs_error"] < 1e-6
    bundle = tmp_path / "output/bundle"
    theirs = np.load(tmp_path / "prepared/sets/seed-1/inputs/x.npy")
    np.testing.assert_array_equal(np.load(bundle / "check/inputs/x.npy"), theirs)
    assert len((bundle / "check/tolerance.txt").read_text().split()) == 3


@pytest.mark.parametrize("sums", [steps, lower])
def test_a_fault_that_only_one_set_reaches_is_told_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sums: Sum
) -> None:
    """Values of large inputs alone are wrong, jump or none."""

    def saturating(x: Array) -> Array:
        return np.where(x > 50, np.float32(3), sums(x)).astype(np.float32)

    found = tried(tmp_path, monkeypatch, saturating)
    assert found["ok"] is False
    assert verdicts(found)["large"] == (False, "outputs")
    assert [each["ok"] for each in found["outputs"]] == [False]
    bisection = json.loads((tmp_path / "output/bisect/bisection.json").read_text())
    assert (bisection["cause"], bisection["nodes"]) == ("node", ["m", "s"])
    assert (tmp_path / "output/bisect/reproduce/model.onnx").is_file()
    assert not (tmp_path / "output/assembly.json").exists()


def test_wrong_values_behind_a_jump_are_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tried(tmp_path, monkeypatch, lower, lambda value: value + np.float32(0.01))
    assert found["ok"] is False
    bisection = json.loads((tmp_path / "output/bisect/bisection.json").read_text())
    assert (bisection["cause"], bisection["node"]) == ("node", "y")


@pytest.mark.parametrize("sums", [steps, lower])
def test_an_output_that_is_miscopied_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sums: Sum
) -> None:
    """Every kernel is right, of large inputs too, and some of their values jump."""

    def delivered(value: Array) -> Array:
        return np.where(np.arange(value.size).reshape(value.shape) == 5, np.float32(7), value)

    found = tried(tmp_path, monkeypatch, sums, delivered=delivered)
    assert found["ok"] is False


@pytest.mark.parametrize("sums", [steps, lower])
def test_a_bundle_that_does_not_repeat_itself_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sums: Sum
) -> None:
    """The run that is looked into is right, but it is not the one that was not."""
    runs = 0

    def delivered(value: Array) -> Array:
        nonlocal runs
        runs += 1
        return value if runs != 2 else value + np.float32(2)

    found = tried(tmp_path, monkeypatch, sums, delivered=delivered)
    assert found["ok"] is False


def test_what_nothing_shows_proves_nothing() -> None:
    """Neither for the bundle's own set nor for one that strains the model."""
    for own in (False, True):
        for cause, proves in (("unseen", False), ("jump", True), ("accumulation", not own)):
            found = Bisection(
                cause=cause,  # type: ignore[arg-type]
                node=None,
                operator=None,
                nodes=(),
                kernel=None,
                max_abs_error=None,
                local_error=None,
                compared=(),
                right=True,
            )
            assert verify._proves(found, own=own) is proves
