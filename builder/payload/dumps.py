"""What ``bin/run --dump`` wrote: which ONNX values its tensors show. It may come from a board."""

from __future__ import annotations

import filecmp
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx

from builder.compiler.alignment import Aligned, Dumped, plain
from builder.compiler.prepare.check_data import Arrays
from builder.compiler.set_list import set_folders
from builder.errors import UsageError
from builder.model.tensor import Signature, TensorSpec

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown(Mapping[str, Array]):
    """What a bundle computed, by ONNX value and in its shape; read when it is asked for."""

    dump: Path
    inputs: Arrays
    tensors: Mapping[str, Aligned]

    def __getitem__(self, name: str) -> Array:
        if name in self.inputs:
            return self.inputs[name]
        shown = self.tensors[name]
        return plain(load(self.dump, shown.dumped.file, shown.dumped.dtype), shown.shape)

    def __contains__(self, name: object) -> bool:
        return name in self.inputs or name in self.tensors

    def __iter__(self) -> Iterator[str]:
        yield from self.inputs
        yield from self.tensors

    def __len__(self) -> int:
        return len(self.inputs) + len(self.tensors)


def read_inputs(prepared: Path, dump: Path, signature: Signature) -> Arrays:
    """Return what the bundle was run on: the dump's own inputs, else the check inputs."""
    found = {
        spec.name: _written(dump, f"input-{at}", spec) for at, spec in enumerate(signature.inputs)
    }
    folder = prepared / "check/inputs"
    return {
        spec.name: load(folder, spec.file, spec.dtype) if (own := found[spec.name]) is None else own
        for spec in signature.inputs
    }


def with_outputs(
    graph: onnx.GraphProto, dump: Path, signature: Signature, aligned: Sequence[Aligned]
) -> tuple[Aligned, ...]:
    """Return ``aligned`` with the model's outputs as they were handed out, where the dump has them.

    They take the place of what their kernels wrote, which may be overwritten or miscopied later.
    Those that no kernel's tensor shows come last.
    """
    producers = {name: at for at, node in enumerate(graph.node) for name in node.output}
    shown = {each.value: each for each in aligned}
    for at, spec in enumerate(signature.outputs):
        stem = f"output-{at}"
        if spec.name not in producers or _written(dump, stem, spec) is None:
            continue
        unseen = Aligned(
            dumped=Dumped(file=stem, kernel="", nodes=(), dtype=spec.dtype, shape=spec.shape),
            value=spec.name,
            shape=spec.shape,
            positions=(producers[spec.name],),
        )
        before = shown.get(spec.name, unseen)
        dumped = replace(before.dumped, file=stem, shape=spec.shape)
        shown[spec.name] = replace(before, dumped=dumped, shape=spec.shape)
    return tuple(shown.values())


def passed_on(
    graph: onnx.GraphProto, weights: Path, signature: Signature, inputs: Arrays
) -> Arrays:
    """Return the model's outputs that no node computes: its inputs, or constants of its own."""
    produced = {name for node in graph.node for name in node.output}
    wanted = {spec.name for spec in signature.outputs} - produced
    constants = {
        tensor.name: onnx.numpy_helper.to_array(tensor, str(weights))
        for tensor in graph.initializer
        if tensor.name in wanted
    }
    return {name: array for name, array in (constants | inputs).items() if name in wanted}


def handed_out(dump: Path, signature: Signature, names: Collection[str]) -> Arrays:
    """Return these outputs as the dump has them; an older runner wrote none."""
    found = {
        spec.name: _written(dump, f"output-{at}", spec)
        for at, spec in enumerate(signature.outputs)
        if spec.name in names
    }
    return {name: array for name, array in found.items() if array is not None}


def repeats(dump: Path, signature: Signature, computed: Path) -> bool:
    """Say whether a dump's outputs are, byte for byte, those of a run that wrote ``computed``."""
    pairs = (
        (dump / f"output-{at}.npy", computed / f"{spec.file}.npy")
        for at, spec in enumerate(signature.outputs)
    )
    return all(
        ours.is_file() and filecmp.cmp(ours, theirs, shallow=False) for ours, theirs in pairs
    )


def _written(dump: Path, stem: str, spec: TensorSpec) -> Array | None:
    if not (dump / f"{stem}.npy").is_file():
        return None  # an older runner writes none
    try:
        array = load(dump, stem, spec.dtype)
    except (OSError, ValueError) as error:
        raise bad_dump(dump, str(error)[:200]) from None
    if array.shape != spec.shape or array.dtype.name != spec.dtype:
        raise bad_dump(dump, f"{stem}.npy is {array.dtype.name} {list(array.shape)}")
    return array


def expected_of(prepared: Path, signature: Signature, inputs: Arrays) -> Path | None:
    """Return the folder of what ONNX Runtime made of these very inputs, if they are a check set."""
    for folder in set_folders(prepared):
        own = (load(folder / "inputs", spec.file, spec.dtype) for spec in signature.inputs)
        if all(
            inputs[spec.name].tobytes() == array.tobytes()
            for spec, array in zip(signature.inputs, own, strict=True)
        ):
            return folder / "expected"
    return None


def listed(dump: Path) -> Iterable[Dumped]:
    """Yield the tensors of a dump. Raises ``UsageError`` ``bad-dump``: it may come from a board."""
    try:
        listed = json.loads((dump / "dump.json").read_text(encoding="utf-8"))["tensors"]
        for entry in listed:
            stem = str(entry["file"])
            if not stem.replace("-", "").isdecimal():
                raise ValueError(f"{stem!r} is no file of a dump")
            shape = np.load(dump / f"{stem}.npy", mmap_mode="r", allow_pickle=False).shape
            yield Dumped(
                file=stem,
                kernel=str(entry["kernel"]),
                nodes=tuple(map(str, entry["nodes"])),
                dtype=str(entry["dtype"]),
                shape=shape,
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise bad_dump(dump, str(error)[:200]) from None


def bad_dump(dump: Path, why: str) -> UsageError:
    return UsageError(
        "this is no dump of a bundle of the model",
        reason="bad-dump",
        where=dump.name,
        why=why,
        remedy="make one: bin/run --dump DIR",
    )


def load(folder: Path, stem: str, dtype: str) -> Array:
    array: Array = np.load(folder / f"{stem}.npy", allow_pickle=False)
    return array.view(ml_dtypes.bfloat16) if dtype == "bfloat16" else array
