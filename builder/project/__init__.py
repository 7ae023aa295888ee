"""The project file ``boardwright.yaml``: texts in, values out."""

from __future__ import annotations

from builder.project.parsing import parse
from builder.project.rendering import render
from builder.project.shapes import parse_shape

FILENAME = "boardwright.yaml"

__all__ = ["FILENAME", "parse", "parse_shape", "render"]
