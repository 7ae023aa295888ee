"""Whether a prepared model computes what the one it was made from does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import ml_dtypes
import numpy as np
import onnx

from builder.compiler.node_names import node_name
from builder.compiler.prepare.as_given import AS_GIVEN, read_constants
from builder.model.bisection import Jump
from builder.payload.judging import Array, Expected, off
from builder.payload.jumps import describe, explained, jumps_in
from builder.payload.parting import part
from builder.payload.pieces import Pieces, Unsplittable
from builder.payload.reference import Reference

Arrays = dict[str, Array]

_SPILLED_BYTES = 1 << 16
"""Of a value: all of a model's together may be more than there is memory for."""


def jumps_of_preparation(
    model: onnx.ModelProto, prepared: Path, inputs: Mapping[str, Array], expected: Arrays
) -> tuple[Jump, ...] | None:
    """Return where the prepared model parts from the one it was made of; None where it is wrong.

    Both are run by ONNX Runtime, as written; values that both have are compared piece by piece.
    ``expected`` are outputs of the model as given, optimised, which may jump by themselves.
    """
    try:
        with TemporaryDirectory() as spill:
            return _jumps(model, prepared, inputs, expected, Path(spill))
    except (Unsplittable, OSError, KeyError):
        return None
    except Exception as error:  # ONNX Runtime's exceptions share no base but Exception
        if type(error).__module__.startswith("onnxruntime"):
            return None
        raise


def _jumps(
    model: onnx.ModelProto,
    prepared: Path,
    inputs: Mapping[str, Array],
    expected: Arrays,
    spill: Path,
) -> tuple[Jump, ...] | None:
    given = onnx.load(prepared / AS_GIVEN, load_external_data=False)
    given = onnx.shape_inference.infer_shapes(given)
    fed = {**inputs, **read_constants(prepared)}
    common = _common(Reference(model, prepared), _names_of_both(model, given), inputs, spill)
    ours = Pieces(model=given, weights=prepared, known=fed | common)
    theirs = Pieces(model=given, weights=prepared, known=fed)
    names = [name for node in given.graph.node for name in node.output if name in common]
    orders = (ours.values(names, in_another_order=other) for other in (False, True))
    for name, value, again in zip(names, *orders, strict=True):
        if value.shape != common[name].shape:
            return None
        wrong = Expected(value=value, again=again).wrong(common[name])
        if wrong.any() and (wrong & ~explained(ours, name, common[name], value)).any():
            return None
    parting = part(ours, theirs, names)
    if parting.drifts:
        return None
    found = tuple(describe(ours, theirs, at, by) for at, by in parting.jumps.items())
    return found or _optimised_away(theirs, expected)


def _optimised_away(given: Pieces, expected: Arrays) -> tuple[Jump, ...] | None:
    """Return the jumps before outputs that ONNX Runtime's optimisations alone change."""
    found: list[Jump] = []
    for name, made in zip(expected, given.values(list(expected)), strict=True):
        other = off(made, expected[name])
        if not other.any():
            continue
        jumps = jumps_in(given, name)
        if not jumps:
            return None
        node = given.model.graph.node[jumps[0]]
        found.append(
            Jump(
                node=node_name(jumps[0], node),
                operator=node.op_type,
                elements=int(other.sum()),
                of=other.size,
                difference=0.0,
            )
        )
    return tuple(found) or None


def _names_of_both(model: onnx.ModelProto, given: onnx.ModelProto) -> list[str]:
    there = {name for node in given.graph.node for name in node.output if name}
    return [name for node in model.graph.node for name in node.output if name in there]


def _common(
    reference: Reference, names: Sequence[str], inputs: Mapping[str, Array], spill: Path
) -> Arrays:
    """Return the prepared model's values of these names; large ones lie in the folder ``spill``."""
    found: Arrays = {}
    for name, value in zip(names, reference.values(names, inputs), strict=True):
        if value.dtype == ml_dtypes.bfloat16:
            continue
        if value.nbytes < _SPILLED_BYTES:
            found[name] = value
            continue
        path = spill / f"{len(found)}.npy"
        np.save(path, value)
        found[name] = np.load(path, mmap_mode="r")
    return found
