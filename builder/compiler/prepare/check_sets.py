"""What a bundle is verified with: sets of inputs, and what ONNX Runtime makes of each.

The first set is the bundle's own check data, ``check/``; further ones lie in ``sets/NAME/`` alike.
``sets.json`` lists all of them, also those that prove nothing, with the reason.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from builder.compiler.prepare.check_data import Arrays, UsersModel, nudged, storable
from builder.compiler.prepare.input_sets import InputSet
from builder.compiler.prepare.tolerance import tolerance
from builder.compiler.set_list import CheckSet, list_sets
from builder.errors import IntegrityError, ModelRefused
from builder.model.tensor import Signature

SEEDED, GIVEN = "seeded", "given"

MOST_BYTES = 64 << 20
"""Of all further inputs and outputs together."""

_MOST_NAN, _MOST_INFINITE = 0.05, 0.5
_OTHER_ORDERS = 2
"""In which ONNX Runtime is asked again: as written, and with inputs nudged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What ONNX Runtime makes of one set of inputs, and what else it could have said."""

    expected: Arrays
    again: tuple[Arrays, ...]


def write_sets(
    output: Path,
    signature: Signature,
    first: InputSet,
    further: Sequence[InputSet],
    *,
    model: Path,
    constants: Arrays,
    in_steps: bool,
) -> Truth:
    """Write ``first`` to ``check/`` and ``further`` to ``sets/``, each with what it comes to.

    ``in_steps``: ONNX Runtime is asked in other ways as well. Returns the truth of ``first``.
    Raises as ``UsersModel.outputs`` does for ``first``; a further set that ONNX Runtime does not
    run, or that proves nothing, is left out.
    """
    run = UsersModel(model)
    truth = {
        first.name: Truth(
            expected=run.outputs(first.inputs | constants, signature.outputs), again=()
        )
    }
    listed = [CheckSet(name=first.name, folder="check")]
    room = MOST_BYTES
    for each in further:
        found, why = _attempt(run, each.inputs | constants, signature)
        room -= sum(a.nbytes for a in (*each.inputs.values(), *(found or {}).values()))
        why = f"its tensors take more than {MOST_BYTES >> 20} MiB" if room < 0 else why
        if found is not None and why is None:
            truth[each.name] = Truth(expected=found, again=())
        listed.append(CheckSet(name=each.name, folder=f"sets/{each.name}", dropped=why))
    sets = {each.name: each for each in (first, *further) if each.name in truth}
    if in_steps:
        del run  # one session at a time holds the weights
        truth = _with_doubts(model, constants, signature, sets, truth)
        listed = [_unless_unsure(entry, truth) for entry in listed]
    for entry in listed:
        if entry.dropped is None:
            _write(output / entry.folder, signature, sets[entry.name].inputs, truth[entry.name])
    list_sets(output, listed)
    return truth[first.name]


def _attempt(
    run: UsersModel, feed: Arrays, signature: Signature
) -> tuple[Arrays | None, str | None]:
    """Return the outputs for a further set, and why they prove nothing."""
    try:
        found = run.outputs(feed, signature.outputs)
    except (ModelRefused, IntegrityError) as error:
        if error.reason == "too-large":
            raise  # which sets there are must not depend on the memory of the hour
        return None, f"ONNX Runtime does not run the model on it: {(error.why or '')[:120]}"
    return found, next(_proves_nothing(found), None)


def _proves_nothing(found: Arrays) -> Iterator[str]:
    for name, array in found.items():
        if not array.size or array.dtype.kind in "biu":
            continue
        value = array.astype(np.float64)
        none, finite = float(np.isnan(value).mean()), float(np.isfinite(value).mean())
        if none > _MOST_NAN or 1 - finite > _MOST_INFINITE:
            yield f"{1 - finite:.0%} of output {name!r} is no finite number in ONNX Runtime either"


def _unless_unsure(entry: CheckSet, truth: Mapping[str, Truth]) -> CheckSet:
    if entry.dropped is not None or entry.name in truth:
        return entry
    return dataclasses.replace(
        entry, dropped="ONNX Runtime does not run the model on it in another order"
    )


def _with_doubts(
    model: Path,
    constants: Arrays,
    signature: Signature,
    sets: dict[str, InputSet],
    truth: dict[str, Truth],
) -> dict[str, Truth]:
    """Add what else the reference could have said: values near two steps round either way.

    A further set on which it says nothing in another order is left out.
    """
    again: dict[str, list[Arrays]] = {name: [] for name in sets}
    first = next(iter(sets))
    for as_written in (True, False):
        run = UsersModel(model, as_written=as_written)
        for name, each in sets.items():
            feed = each.inputs | constants
            feed = feed if as_written else nudged(feed)
            try:
                again[name].append(run.outputs(feed, signature.outputs))
            except (ModelRefused, IntegrityError) as error:
                if name == first or error.reason == "too-large":
                    raise
        del run
    return {
        name: dataclasses.replace(truth[name], again=tuple(found))
        for name, found in again.items()
        if len(found) == _OTHER_ORDERS
    }


def _write(folder: Path, signature: Signature, inputs: Arrays, truth: Truth) -> None:
    for kind, specs, arrays in (
        ("inputs", signature.inputs, inputs),
        ("expected", signature.outputs, truth.expected),
    ):
        (folder / kind).mkdir(parents=True)
        for spec in specs:
            np.save(folder / kind / f"{spec.file}.npy", storable(arrays[spec.name]))
    lines = []
    for spec in signature.outputs:
        limit = tolerance(truth.expected[spec.name], [o[spec.name] for o in truth.again])
        lines.append(f"{spec.file} {limit.absolute:.9g} {limit.relative:.9g}\n")
    (folder / "tolerance.txt").write_text("".join(lines))
