"""What goes into an ONNX file, read without its weights: for ``init`` to write down."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInput:
    """One input. An extent is a number, or what the model calls one it leaves open (or ``?``)."""

    name: str
    extents: tuple[int | str, ...]

    @property
    def is_open(self) -> bool:
        return any(isinstance(extent, str) for extent in self.extents)


def model_inputs(path: Path) -> tuple[ModelInput, ...]:
    """Return the inputs that are not initialisers, in the model's own order.

    The file must have been surveyed: ``builder.effects.survey`` refuses what is no model.
    """
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    weights = {tensor.name for tensor in graph.initializer}
    return tuple(
        ModelInput(name=value.name, extents=tuple(map(_extent, value.type.tensor_type.shape.dim)))
        for value in graph.input
        if value.name not in weights
    )


def _extent(dimension: object) -> int | str:
    value = getattr(dimension, "dim_value", 0)
    return int(value) if value > 0 else getattr(dimension, "dim_param", "") or "?"
