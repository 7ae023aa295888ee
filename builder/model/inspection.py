"""What is known of a model before anything is compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from builder.model.tensor import TensorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A prepared model in figures.

    ``parameters`` counts weights, ``weights_bytes`` is what they take. ``flops`` counts a multiply
    and an add as two operations of one run. ``activations_bytes`` is what the values between nodes
    need at once if no nodes are fused: a plan needs that or less.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    opset: int
    operators: tuple[tuple[str, int], ...]  # how many nodes of each, the commonest first
    parameters: int
    weights_bytes: int
    flops: int
    activations_bytes: int

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Inspection:
        """Rebuild what ``dataclasses.asdict`` made."""
        specs = {
            kind: tuple(
                TensorSpec(**{**spec, "shape": tuple(spec["shape"])}) for spec in data[kind]
            )
            for kind in ("inputs", "outputs")
        }
        operators = tuple((name, count) for name, count in data["operators"])
        return cls(**{**data, **specs, "operators": operators})
