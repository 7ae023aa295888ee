"""The project file ``boardwright.yaml``: texts in, values out."""

from __future__ import annotations

from builder.project.literals import parse_dim, parse_freeze
from builder.project.parsing import parse, parse_devices
from builder.project.rendering import render
from builder.project.shapes import parse_shape

FILENAME = "boardwright.yaml"

__all__ = [
    "FILENAME",
    "parse",
    "parse_devices",
    "parse_dim",
    "parse_freeze",
    "parse_shape",
    "render",
]
