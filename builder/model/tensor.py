"""Tensors as a model's signature names them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One input or output. ``dtype`` is numpy's name; ``file`` a .npy stem safe on any disk.

    Where the model has texts, the tensor has their indices in ``labels``, which is empty elsewhere.
    """

    name: str
    file: str
    dtype: str
    shape: tuple[int, ...]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What goes into a model and what comes out, in the model's own order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
