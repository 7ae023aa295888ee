"""Find the ONNX node where a bundle's numbers leave ONNX Runtime's, and keep it as a model."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx

from builder.compiler.alignment import Aligned, Dumped, align, differences, plain
from builder.compiler.extraction import extract
from builder.compiler.flops import flops
from builder.compiler.node_names import node_name
from builder.compiler.prepare.check_data import Arrays, storable
from builder.compiler.prepare.qdq import is_quantised
from builder.compiler.prepare.tolerance import tolerance
from builder.compiler.refusals import value_types
from builder.compiler.signature import read_signature
from builder.errors import UsageError
from builder.model.bisection import Bisection, Cause, Compared
from builder.payload.reference import Reference
from builder.ports import Log

SUSPECTS = 32
"""Diverging tensors whose kernels are tried on their own inputs, in the order of the run."""


def bisect(prepared: Path, dump: Path, *, output: Path, log: Log) -> Bisection:
    """Compare a dump with ONNX Runtime, tensor by tensor, and fill ``output``.

    It gets ``bisection.json``, and where a node is to blame ``reproduce/``: that node with its
    weights as ``model.onnx``, ``inputs.npz``, ``expected.npz`` by ONNX Runtime and
    ``computed.npz`` by the bundle. ``dump`` is what ``bin/run --dump`` wrote of the check inputs.
    Raises ``UsageError`` ``bad-dump`` for what is none, or one of another model.
    """
    search = _Search.of(prepared, dump)
    if not search.aligned:
        raise _bad_dump(dump, "none of its tensors is a value of this model")
    found = search.run()
    log(f"bisection: {found.cause}, {found.node or 'no node'}")
    text = json.dumps(dataclasses.asdict(found), indent=1) + "\n"
    (output / "bisection.json").write_text(text, encoding="utf-8")
    suspect = next((a for a in search.aligned if a.dumped.kernel == found.kernel), None)
    if suspect is not None:
        search.keep(suspect, output / "reproduce")
    return found


@dataclass(slots=True, kw_only=True)
class _Search:
    model: onnx.ModelProto
    prepared: Path
    dump: Path
    aligned: tuple[Aligned, ...]
    inputs: Arrays

    @classmethod
    def of(cls, prepared: Path, dump: Path) -> _Search:
        model = onnx.load(prepared / "model.onnx", load_external_data=False)
        signature = read_signature(prepared)
        inputs = {
            s.name: _load(prepared / "check/inputs", s.file, s.dtype) for s in signature.inputs
        }
        return cls(
            model=model,
            prepared=prepared,
            dump=dump,
            aligned=align(model.graph, _listed(dump)),
            inputs=inputs,
        )

    def run(self) -> Bisection:
        compared = tuple(self._compare())
        diverging = [a for a, c in zip(self.aligned, compared, strict=True) if not c.ok]
        for suspect in diverging[:SUSPECTS]:
            local = self._on_its_own(suspect)
            if not local.ok:
                return self._blame("node", suspect, compared, local)
        if self._preparation_is_wrong():
            return _nobody("preparation", compared)
        if diverging:
            local = self._on_its_own(diverging[0])
            return self._blame("accumulation", diverging[0], compared, local)
        return _nobody("unseen", compared)

    def _compare(self) -> Iterable[Compared]:
        names = [each.value for each in self.aligned]
        truth = self._truth(self.model, names, self.inputs)
        for each, expected in zip(self.aligned, truth, strict=True):
            found = expected.judge(self.computed(each))
            yield Compared(
                value=each.value,
                kernel=each.dumped.kernel,
                nodes=each.dumped.nodes,
                max_abs_error=found.largest,
                allowed=found.allowed,
                ok=found.ok,
            )

    def _truth(
        self, model: onnx.ModelProto, names: Sequence[str], inputs: Arrays
    ) -> Iterator[_Expected]:
        """Yield what ONNX Runtime makes of values, and of rounded ones also in another order."""
        reference = Reference(model, self.prepared)
        if not is_quantised(self.model):
            yield from (_Expected(value=value) for value in reference.values(names, inputs))
            return
        other = Reference(model, self.prepared, in_another_order=True)
        pairs = zip(reference.values(names, inputs), other.values(names, inputs), strict=True)
        yield from (_Expected(value=value, again=again) for value, again in pairs)

    def computed(self, each: Aligned) -> npt.NDArray[Any]:
        """Return what the bundle computed, in the ONNX value's own shape."""
        return plain(_load(self.dump, each.dumped.file, each.dumped.dtype), each.shape)

    def _on_its_own(self, suspect: Aligned) -> _Judged:
        """Judge a kernel on the inputs that the bundle itself gave it."""
        part, fed = self._part(suspect, self._fed_by_bundle())
        (expected,) = self._truth(part, [suspect.value], fed)
        return expected.judge(self.computed(suspect))

    def _part(self, suspect: Aligned, known: Mapping[str, Any]) -> tuple[onnx.ModelProto, Arrays]:
        part = extract(self.model, suspect.positions)
        wanted = [value.name for value in part.graph.input]
        missing = [name for name in wanted if name not in known]
        made = Reference(self.model, self.prepared).values(missing, self.inputs)
        computed = dict(zip(missing, made, strict=True))
        return part, {name: computed[name] if name in computed else known[name] for name in wanted}

    def _fed_by_bundle(self) -> Arrays:
        return self.inputs | {each.value: self.computed(each) for each in self.aligned}

    def _preparation_is_wrong(self) -> bool:
        signature = read_signature(self.prepared)
        names = [spec.name for spec in signature.outputs]
        made = self._truth(self.model, names, self.inputs)
        for spec, prepared in zip(signature.outputs, made, strict=True):
            expected = _load(self.prepared / "check/expected", spec.file, spec.dtype)
            if not prepared.judge(expected).ok:
                return True
        return False

    def _blame(
        self, cause: Cause, suspect: Aligned, compared: tuple[Compared, ...], local: _Judged
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
        """Write the suspect's nodes as a model of their own, with what goes in and comes out."""
        folder.mkdir()
        part, fed = self._part(suspect, self._fed_by_bundle())
        (expected,) = Reference(part, self.prepared).values([suspect.value], fed)
        Reference(part, self.prepared).save(folder / "model.onnx")
        _save(folder / "inputs.npz", fed)
        _save(folder / "expected.npz", {suspect.value: expected})
        _save(folder / "computed.npz", {suspect.value: self.computed(suspect)})


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """How far a tensor is off: its largest error, and what is allowed where it errs worst."""

    largest: float
    allowed: float
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expected:
    """What a tensor should be; ``again`` is what another order of computing makes of it."""

    value: npt.NDArray[Any]
    again: npt.NDArray[Any] | None = None

    def judge(self, computed: npt.NDArray[Any]) -> _Judged:
        """Judge element by element, as verification does."""
        limit = tolerance(self.value, () if self.again is None else (self.again,))
        absolute = max(limit.absolute, self._step())
        size = np.abs(np.nan_to_num(self.value.astype(np.float64), posinf=0.0, neginf=0.0))
        allowed = absolute + limit.relative * size
        far = differences(computed, self.value)
        if not far.size:
            return _Judged(largest=0.0, allowed=absolute, ok=True)
        worst = np.unravel_index(np.argmax(far - allowed), far.shape)
        return _Judged(
            largest=float(far.max()),
            allowed=float(allowed[worst]),
            ok=bool(far[worst] <= allowed[worst]),
        )

    def _step(self) -> float:
        """Return how far a right kernel may be: what lies between two steps rounds either way."""
        rounded = self.again is not None and self.value.dtype in (np.int8, np.uint8)
        return 1.0 if rounded else 0.0


def _listed(dump: Path) -> Iterable[Dumped]:
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
        raise _bad_dump(dump, str(error)[:200]) from None


def _bad_dump(dump: Path, why: str) -> UsageError:
    return UsageError(
        "this is no dump of a bundle of the model",
        reason="bad-dump",
        where=dump.name,
        why=why,
        remedy="make one: bin/run --dump DIR",
    )


def _save(path: Path, arrays: Arrays) -> None:
    """Write an .npz; numpy's own writer has arguments that a tensor may be called like."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, storable(np.asarray(array)), allow_pickle=False)


def _load(folder: Path, stem: str, dtype: str) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(folder / f"{stem}.npy", allow_pickle=False)
    return array.view(ml_dtypes.bfloat16) if dtype == "bfloat16" else array
