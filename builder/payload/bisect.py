"""Find the ONNX node where a bundle's numbers leave ONNX Runtime's, and keep it as a model."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx

from builder.compiler.alignment import Aligned, align
from builder.compiler.flops import flops
from builder.compiler.node_names import node_name
from builder.compiler.prepare.check_data import Arrays, storable
from builder.compiler.prepare.qdq import is_quantised
from builder.compiler.refusals import value_types
from builder.compiler.signature import read_signature
from builder.model.bisection import Bisection, Cause, Compared, Jump
from builder.payload.dumps import (
    Shown,
    bad_dump,
    expected_of,
    handed_out,
    listed,
    load,
    passed_on,
    read_inputs,
    repeats,
    with_outputs,
)
from builder.payload.judging import Expected, Judged
from builder.payload.jumps import describe, explained
from builder.payload.parting import part
from builder.payload.pieces import Pieces
from builder.payload.preparation import jumps_of_preparation
from builder.payload.reference import Reference
from builder.ports import Log


def bisect(
    prepared: Path, dump: Path, *, output: Path, log: Log, computed: Path | None = None
) -> Bisection:
    """Compare a dump with ONNX Runtime, tensor by tensor, and fill ``output``.

    It gets ``bisection.json``, and where a node is to blame ``reproduce/``: that node with its
    weights as ``model.onnx``, ``inputs.npz``, ``expected.npz`` by ONNX Runtime and
    ``computed.npz`` by the bundle. ``dump`` is what ``bin/run --dump`` wrote of the check inputs.
    ``computed`` are the outputs of another run on them: where the dump's are not the same bytes,
    it proves nothing of that run.
    Raises ``UsageError`` ``bad-dump`` for what is none, or one of another model.
    """
    search = _Search.of(prepared, dump)
    if not search.aligned:
        raise bad_dump(dump, "none of its tensors is a value of this model")
    found = search.run()
    if computed is not None and not repeats(dump, read_signature(prepared), computed):
        log("bisection: the bundle does not repeat itself")
        found = _nobody("unseen", found.compared) if found.right else found
    log(f"bisection: {found.cause}, {found.node or 'no node'}")
    text = json.dumps(dataclasses.asdict(found), indent=1) + "\n"
    (output / "bisection.json").write_text(text, encoding="utf-8")
    suspect = next((a for a in search.aligned if a.dumped.kernel == found.kernel), None)
    if suspect is not None:
        search.keep(suspect, output / "reproduce")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """How a value compares with what ONNX Runtime makes of the bundle's own before it."""

    judged: Judged
    right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Preparation:
    """Whether the prepared model is known to be wrong, or right, and what of it jumped."""

    wrong: bool
    right: bool
    jumps: tuple[Jump, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Search:
    model: onnx.ModelProto
    prepared: Path
    aligned: tuple[Aligned, ...]
    inputs: Arrays
    expected: Path | None
    pieces: Pieces
    passed_on: Arrays
    handed_out: Arrays

    @classmethod
    def of(cls, prepared: Path, dump: Path) -> _Search:
        model = onnx.load(prepared / "model.onnx", load_external_data=False)
        signature = read_signature(prepared)
        inputs = read_inputs(prepared, dump, signature)
        aligned = align(model.graph, listed(dump))
        shown = with_outputs(model.graph, dump, signature, aligned)
        passed = passed_on(model.graph, prepared, signature, inputs)
        known = Shown(dump=dump, inputs=inputs, tensors={each.value: each for each in shown})
        return cls(
            model=model,
            prepared=prepared,
            aligned=shown if aligned else (),
            inputs=inputs,
            expected=expected_of(prepared, signature, inputs),
            pieces=Pieces(model=model, weights=prepared, known=known),
            passed_on=passed,
            handed_out=handed_out(dump, signature, passed),
        )

    def run(self) -> Bisection:
        compared = tuple(self._compare())
        pieces = self._judged_pieces()
        suspects = sorted(zip(self.aligned, compared, strict=True), key=lambda pair: pair[1].ok)
        for suspect, _ in suspects:
            piece = pieces[suspect.value]
            if not piece.right and not piece.judged.ok:
                return self._blame("node", suspect, compared, piece.judged)
        right = all(piece.right for piece in pieces.values())
        preparation = self._preparation()
        if preparation.wrong:
            return _nobody("preparation", compared)
        passed = tuple(self._passed())
        if not all(entry.ok for entry in passed):
            return _nobody("unseen", (*compared, *passed))
        right &= preparation.right
        parting = self._parting()
        jumps = _once((*parting, *preparation.jumps)) if parting is not None else ()
        if right and jumps:
            return _jumping(jumps, compared)
        diverging = [
            each for each, entry in zip(self.aligned, compared, strict=True) if not entry.ok
        ]
        if not diverging:
            return _nobody("unseen", compared)
        local = pieces[diverging[0].value].judged
        found = self._blame("accumulation", diverging[0], compared, local)
        return replace(found, right=right)

    def _compare(self) -> Iterable[Compared]:
        names = [each.value for each in self.aligned]
        alone = Pieces(model=self.model, weights=self.prepared, known=self.inputs)
        for each, expected in zip(self.aligned, self._expected(alone, names), strict=True):
            found = expected.judge(self.pieces.known[each.value])
            yield Compared(
                value=each.value,
                kernel=each.dumped.kernel,
                nodes=each.dumped.nodes,
                max_abs_error=found.largest,
                allowed=found.allowed,
                ok=found.ok,
            )

    def _passed(self) -> Iterator[Compared]:
        """Compare outputs that no node computes with what they are copies of."""
        for name, array in self.handed_out.items():
            found = Expected(value=self.passed_on[name]).judge(array)
            yield Compared(
                value=name,
                kernel="",
                nodes=(),
                max_abs_error=found.largest,
                allowed=found.allowed,
                ok=found.ok,
            )

    def _expected(self, of: Pieces, names: Sequence[str]) -> Iterator[Expected]:
        """Yield what ONNX Runtime makes of values, and of rounded ones also in another order."""
        if not is_quantised(self.model):
            yield from (Expected(value=value) for value in of.values(names))
            return
        orders = (of.values(names, in_another_order=other) for other in (False, True))
        for value, again in zip(*orders, strict=True):
            yield Expected(value=value, again=again)

    def _judged_pieces(self) -> dict[str, _Piece]:
        names = [each.value for each in self.aligned]
        expected = zip(names, self._expected(self.pieces, names), strict=True)
        return {name: self._piece(name, each) for name, each in expected}

    def _piece(self, name: str, expected: Expected) -> _Piece:
        """Judge a value by what follows from those before it that the bundle itself computed."""
        computed = self.pieces.known[name]
        wrong = expected.wrong(computed)
        if wrong.any():
            wrong &= ~explained(self.pieces, name, computed, expected.value)
        return _Piece(judged=expected.judge(computed), right=not wrong.any())

    def _parting(self) -> tuple[Jump, ...] | None:
        """Return the jumps at which the bundle parts from ONNX Runtime; None where it drifts."""
        theirs = Pieces(model=self.model, weights=self.prepared, known=self.inputs)
        shown = {each.value for each in self.aligned}
        names = [n for node in self.model.graph.node for n in node.output if n in shown]
        parting = part(self.pieces, theirs, names)
        if parting.drifts:
            return None
        return tuple(describe(self.pieces, theirs, at, by) for at, by in parting.jumps.items())

    def _preparation(self) -> _Preparation:
        """Judge what the prepared model computes by what the one it was made of does."""
        if self.expected is None:
            return _Preparation(wrong=False, right=False)  # inputs that nothing is known of
        given = {
            spec.name: load(self.expected, spec.file, spec.dtype)
            for spec in read_signature(self.prepared).outputs
        }
        passed = [(Expected(value=v), given.pop(name)) for name, v in self.passed_on.items()]
        if any(prepared.wrong(expected).any() for prepared, expected in passed):
            return _Preparation(wrong=True, right=False)
        alone = Pieces(model=self.model, weights=self.prepared, known=self.inputs)
        made = self._expected(alone, list(given))
        pairs = list(zip(made, given.values(), strict=True))
        if not any(prepared.wrong(expected).any() for prepared, expected in pairs):
            return _Preparation(wrong=False, right=True)
        jumps = jumps_of_preparation(self.model, self.prepared, self.inputs, given)
        within = all(prepared.judge(expected).ok for prepared, expected in pairs)
        return _Preparation(
            wrong=jumps is None and not within, right=jumps is not None, jumps=jumps or ()
        )

    def _blame(
        self, cause: Cause, suspect: Aligned, compared: tuple[Compared, ...], local: Judged
    ) -> Bisection:
        at = self._weightiest(suspect.positions)
        node = self.model.graph.node[at]
        entry = next(each for each in compared if each.value == suspect.value)
        return Bisection(
            cause=cause,
            node=node_name(at, node),
            operator=node.op_type,
            nodes=suspect.dumped.nodes,
            kernel=suspect.dumped.kernel,
            max_abs_error=entry.max_abs_error,
            local_error=local.largest,
            compared=compared,
        )

    def _weightiest(self, positions: Sequence[int]) -> int:
        types = value_types(self.model.graph)
        shapes = {
            name: tuple(dim.dim_value for dim in kind.tensor_type.shape.dim)
            for name, kind in types.items()
        }
        return max(positions, key=lambda at: flops(self.model.graph.node[at], shapes))

    def keep(self, suspect: Aligned, folder: Path) -> None:
        """Write the suspect's piece as a model of its own, with what goes in and comes out."""
        folder.mkdir()
        part, fed = self.pieces.part([suspect.value])
        (expected,) = Reference(part, self.prepared).values([suspect.value], fed)
        Reference(part, self.prepared).save(folder / "model.onnx")
        _save(folder / "inputs.npz", fed)
        _save(folder / "expected.npz", {suspect.value: expected})
        _save(folder / "computed.npz", {suspect.value: self.pieces.known[suspect.value]})


def _once(jumps: Iterable[Jump]) -> tuple[Jump, ...]:
    """Return the first of each node."""
    first: dict[str, Jump] = {}
    for jump in jumps:
        first.setdefault(jump.node, jump)
    return tuple(first.values())


def _jumping(jumps: tuple[Jump, ...], compared: tuple[Compared, ...]) -> Bisection:
    first = replace(_nobody("jump", compared), node=jumps[0].node, operator=jumps[0].operator)
    return replace(first, nodes=(jumps[0].node,), right=True, jumps=jumps)


def _nobody(cause: Cause, compared: tuple[Compared, ...]) -> Bisection:
    return Bisection(
        cause=cause,
        node=None,
        operator=None,
        nodes=(),
        kernel=None,
        max_abs_error=None,
        local_error=None,
        compared=compared,
    )


def _save(path: Path, arrays: Arrays) -> None:
    """Write an .npz; numpy's own writer has arguments that a tensor may be called like."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, storable(np.asarray(array)), allow_pickle=False)
