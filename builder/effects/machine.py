"""Facts about the machine that builds: its CPU, its emulators, the foreign C libraries."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from builder.model.machine import Machine
from builder.model.target import Arch, Emulator

_ARCHES: dict[str, Arch] = {
    "x86_64": "x86_64",
    "amd64": "x86_64",
    "aarch64": "aarch64",
    "arm64": "aarch64",
    "armv7l": "armv7",
    "armv8l": "armv7",  # what a 32-bit userland sees of a 64-bit kernel
}
_CPUINFO = Path("/proc/cpuinfo")
_CPUINFO_BYTES = 64 * 1024  # one core's entry; a server lists hundreds


def survey_machine(emulators: Iterable[Emulator], *, search_path: str) -> Machine:
    """Return what this machine can run; ``search_path`` is ``PATH``'s value."""
    wanted = set(emulators)
    return Machine(
        arch=_ARCHES.get(os.uname().machine),
        features=cpu_features(_CPUINFO),
        emulators=frozenset(e.qemu for e in wanted if find_emulator(e.qemu, search_path)),
        sysroots=frozenset(e.sysroot for e in wanted if Path(e.sysroot).is_dir()),
        cores=len(os.sched_getaffinity(0)),
    )


def find_emulator(qemu: str, search_path: str) -> str | None:
    """Return the path of a qemu-user program, in Debian's static spelling or the plain one."""
    return shutil.which(f"{qemu}-static", path=search_path) or shutil.which(qemu, path=search_path)


def cpu_features(cpuinfo: Path) -> frozenset[str]:
    """Return the first core's ``flags`` (x86) or ``Features`` (Arm); empty if unreadable."""
    fields = cpu_fields(cpuinfo)
    return frozenset(fields.get("flags", fields.get("Features", "")).split())


def cpu_name(cpuinfo: Path = _CPUINFO) -> str:
    """Return what the first core calls itself, or the architecture where it does not say."""
    return cpu_fields(cpuinfo).get("model name", os.uname().machine)


def cpu_fields(cpuinfo: Path = _CPUINFO) -> dict[str, str]:
    """Return what ``/proc/cpuinfo`` says of the first core; nothing if unreadable."""
    try:
        with cpuinfo.open("rb") as stream:
            text = stream.read(_CPUINFO_BYTES).decode("utf-8", "replace")
    except OSError:
        return {}
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return fields
