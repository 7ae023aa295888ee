"""``boardwright tune``: measure tiles on this machine or on a device, and keep what is faster."""

from __future__ import annotations

from builder.cli.tune.verb import command

__all__ = ["command"]
