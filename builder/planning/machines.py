"""Where the code of a target can run."""

from __future__ import annotations

from typing import Literal

from builder.model.machine import Machine
from builder.model.target import Target
from builder.model.toolchain import ImageToolchain, Toolchain

INSTALL_EMULATORS = "apt-get install qemu-user-static libc6-arm64-cross libc6-armhf-cross"


def runs_where(
    target: Target, toolchain: Toolchain, machine: Machine
) -> Literal["native", "qemu"] | None:
    """Return how code for ``target`` can run where ``toolchain`` lives; None: not at all."""
    same_arch = machine.arch == target.platform.arch
    if same_arch and machine.features.issuperset(target.cpu.features):
        return "native"
    # The rendered image installs the emulator of its architecture; the host need not have it.
    if target.emulator and (
        isinstance(toolchain, ImageToolchain) or _emulated_here(target, machine)
    ):
        return "qemu"
    return None


def _emulated_here(target: Target, machine: Machine) -> bool:
    emulator = target.emulator
    if emulator is None or emulator.qemu not in machine.emulators:
        return False
    # Elsewhere the runner is static: qemu needs no C library of that architecture to run it.
    return target.platform.libc.family != "glibc" or emulator.sysroot in machine.sysroots
