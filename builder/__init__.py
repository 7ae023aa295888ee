"""Boardwright: one ONNX model in; one native, self-contained, verified bundle per board out."""

__version__ = "0.1.0"
