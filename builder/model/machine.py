"""The machine that builds, as far as running a bundle on it goes."""

from __future__ import annotations

from dataclasses import dataclass

from builder.model.target import Arch


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What this machine can run. ``arch`` is None where no target is of its architecture.

    ``features`` are CPU features as ``/proc/cpuinfo`` spells them; ``emulators`` are the qemu-user
    programs found (``qemu-aarch64``), ``sysroots`` the foreign C libraries present.
    """

    arch: Arch | None
    features: frozenset[str]
    emulators: frozenset[str]
    sysroots: frozenset[str]
    cores: int
