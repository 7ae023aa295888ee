"""``boardwright bench``: measure a bundle on this machine, or what is deployed on devices."""

from __future__ import annotations

from builder.cli.bench.verb import command

__all__ = ["command"]
