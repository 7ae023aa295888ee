"""The activations of recurrent layers, as expressions of one element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx

Activation = Callable[[Any], Any]


def activation(name: str, alpha: float | None, beta: float | None, dtype: str) -> Activation | None:
    """Return the activation that ONNX calls ``name``, None for a name it does not have."""

    def c(value: float) -> Any:
        return tirx.const(value, dtype)

    def a(default: float) -> Any:
        return c(default if alpha is None else alpha)

    def b(default: float) -> Any:
        return c(default if beta is None else beta)

    def where(condition: Any, then: Any, otherwise: Any) -> Any:
        return tirx.Select(condition, then, otherwise)

    table: dict[str, Activation] = {
        "affine": lambda x: a(1.0) * x + b(0.0),
        "elu": lambda x: where(x < c(0.0), a(1.0) * (tirx.exp(x) - c(1.0)), x),
        "hardsigmoid": lambda x: tirx.max(c(0.0), tirx.min(c(1.0), a(0.2) * x + b(0.5))),
        "leakyrelu": lambda x: where(x < c(0.0), a(0.01) * x, x),
        "relu": lambda x: tirx.max(x, c(0.0)),
        "scaledtanh": lambda x: a(1.0) * tirx.tanh(b(1.0) * x),
        "sigmoid": tirx.sigmoid,
        "softplus": lambda x: tirx.log(c(1.0) + tirx.exp(x)),
        "softsign": lambda x: x / (c(1.0) + tirx.abs(x)),
        "tanh": tirx.tanh,
        "thresholdedrelu": lambda x: where(x > a(1.0), x, c(0.0)),
    }
    return table.get(name.lower())
