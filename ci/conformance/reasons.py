"""Why some data gives other numbers than ONNX Runtime does, and may."""

from __future__ import annotations

from fnmatch import fnmatchcase

_ZEROS_ARE_MULTIPLIED = (
    "zeros that stand between and beside weights are multiplied too, and zero times what is no"
    " number is none"
)
_ORDER = "ONNX Runtime's own result follows from the order in which its vectors meet a NaN"
_GATES = "ONNX Runtime's gates give a finite number for one that is none"
_SCALES = "a scale of zero, or one that is no number: what a cast then gives is the CPU's"
_OVERFLOW = "an integer that its type does not hold: what a cast then gives is the CPU's"

REASONS: tuple[tuple[str, str, str], ...] = (
    ("Conv*", "nan", _ZEROS_ARE_MULTIPLIED),
    ("Conv*", "infinities", _ZEROS_ARE_MULTIPLIED),
    ("GridSample", "nan", _ZEROS_ARE_MULTIPLIED),
    ("GridSample", "infinities", _ZEROS_ARE_MULTIPLIED),
    ("Resize", "nan", _ZEROS_ARE_MULTIPLIED),
    ("Resize", "infinities", _ZEROS_ARE_MULTIPLIED),
    *((cell, kind, _GATES) for cell in ("GRU", "LSTM", "RNN") for kind in ("nan", "infinities")),
    ("*Pool*", "nan", _ORDER),
    ("TopK", "nan", _ORDER),
    ("Hardmax", "nan", _ORDER),
    ("Reduce*", "nan", _ORDER),
    ("MaxPool", "infinities", "a window of -inf alone gives the least finite number"),
    ("ArgM*", "nan", "the last place is found by walking backwards"),
    ("MeanVarianceNormalization", "*", "ONNX Runtime leaves out the 1e-9 of ONNX's definition"),
    ("OneHot", "*", "an index that is no whole number"),
    ("QLinearMatMul", "*", _SCALES),
    ("QuantizeLinear", "*", _SCALES),
    ("DynamicQuantizeLinear", "*", _SCALES),
    ("Pow", "*", _OVERFLOW),
)
"""Patterns of an operator and of a kind of data, and the reason; the first that fits counts."""


def reason(operator: str, kind: str) -> str:
    """Return why results of an operator differ on a kind of data; nothing where nobody knows."""
    for of_operator, of_kind, why in REASONS:
        if fnmatchcase(operator, of_operator) and fnmatchcase(kind, of_kind):
            return why
    return ""
