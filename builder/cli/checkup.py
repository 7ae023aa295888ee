"""Judge what ``doctor`` found: what is there, what is missing, the one command that mends it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from builder.effects.payload_imports import Imports, Unmet
from builder.model.machine import Machine
from builder.model.target import Emulator
from builder.report.wording import safe

EXACT = ("apache-tvm", "apache-tvm-ffi", "onnxsim", "ziglang")
"""What must be of the pinned version: these write the artifacts."""

ENOUGH_DISK_BYTES = 2 * 1024**3
_CROSS_PACKAGES = {
    "/usr/aarch64-linux-gnu": "libc6-arm64-cross",
    "/usr/arm-linux-gnueabihf": "libc6-armhf-cross",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was found. ``pins`` are versions wanted, ``installed`` versions there, by distribution.

    ``locked`` are the versions that were tried together: ``pins`` and what those need.
    ``imports`` says what of it cannot be imported, ``no_image`` why the engine that answers can
    make no toolchain image.

    ``javac`` is the version of the Java compiler, "none" where there is none.
    ``free_bytes`` is the room on the cache's disk; ``cache_problem`` says why it is not writable.
    """

    python: tuple[int, int]
    pins: Mapping[str, str]
    locked: Mapping[str, str]
    installed: Mapping[str, str]
    imports: Imports
    docker: bool
    no_image: str | None
    machine: Machine
    emulators: tuple[Emulator, ...]
    javac: str
    adb: bool
    cache_root: str
    cache_problem: str | None
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at: ``missing`` breaks every build, ``absent`` limits some.

    ``apt`` and ``pip`` name the packages that mend it, ``anew`` those to be installed over what
    is there, ``hint`` what no package can.
    """

    name: str
    state: Literal["ok", "absent", "missing"]
    found: str
    apt: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    anew: tuple[str, ...] = ()
    hint: str | None = None


def examine(facts: Facts) -> tuple[Check, ...]:
    """Return one check for each thing a build can need."""
    return (
        _python(facts.python),
        *(_distribution(name, pin, facts) for name, pin in sorted(facts.pins.items())),
        *(_requirement(unmet, facts) for unmet in _others(facts)),
        _docker(facts.docker),
        *((_images(facts.no_image),) if facts.docker else ()),
        *(_emulator(emulator, facts.machine) for emulator in _by_program(facts.emulators)),
        *(_sysroot(sysroot, facts.machine) for sysroot in _sysroots(facts.emulators)),
        _javac(facts.javac),
        _adb(facts.adb),
        _cache(facts),
        _disk(facts),
    )


def mending_command(checks: Iterable[Check]) -> str | None:
    """Return the one shell command that installs all that is not there, or None."""
    wanting = [check for check in checks if check.state != "ok"]
    apt = sorted({package for check in wanting for package in check.apt})
    pip = sorted({package for check in wanting for package in check.pip})
    commands = [f"apt-get install -y {' '.join(apt)}"] if apt else []
    commands += [f"pip install {' '.join(pip)}"] if pip else []
    anew = sorted({package for check in wanting for package in check.anew})
    if anew and not pip:  # an import often fails for the version of another package
        commands.append(f"pip install --force-reinstall --no-deps {' '.join(anew)}")
    return " && ".join(commands) or None


def to_json(checks: tuple[Check, ...]) -> dict[str, Any]:
    """Return what ``doctor --json`` prints."""
    broken = any(check.state == "missing" for check in checks)
    return {
        "status": "failed" if broken else "ok",
        "checks": [
            {"name": c.name, "state": c.state, "found": c.found, "hint": c.hint} for c in checks
        ],
        "remedy": mending_command(checks),
    }


def _python(version: tuple[int, int]) -> Check:
    return Check(
        name="python",
        state="ok" if version >= (3, 11) else "missing",
        found=".".join(map(str, version)),
        hint="Python 3.11 or newer",
    )


def _distribution(name: str, pin: str, facts: Facts) -> Check:
    version, fault = facts.installed.get(name), facts.imports.faults.get(name)
    unmet = next((unmet for unmet in facts.imports.unmet if unmet.name == name), None)
    if unmet is not None:
        return _requirement(unmet, facts)
    fits = version is not None and (version == pin or name not in EXACT)
    if fits and fault:
        return Check(
            name=name,
            state="missing",
            found=f"{version} cannot be imported: {safe(fault)}",
            anew=(f"{name}=={version}", *_strays(facts)),
        )
    return Check(
        name=name,
        state="ok" if fits else "missing",
        found=version or "not installed",
        pip=(f"{name}=={pin}",),
    )


def _others(facts: Facts) -> Iterable[Unmet]:
    """Return the unmet requirements that are no line of their own, one a distribution."""
    return {u.name: u for u in facts.imports.unmet if u.name not in facts.pins}.values()


def _requirement(unmet: Unmet, facts: Facts) -> Check:
    locked = facts.locked.get(unmet.name)
    return Check(
        name=unmet.name,
        state="missing",
        found=f"{unmet.found or 'not installed'}: {unmet.owner} needs {unmet.wanted or 'it'}",
        pip=(f"{unmet.name}=={locked}" if locked else f"'{unmet.name}{unmet.wanted}'",),
    )


def _strays(facts: Facts) -> Iterator[str]:
    """Yield what is needed by what is pinned, where it is of another version than was tried."""
    for name, version in facts.locked.items():
        if name not in facts.pins and facts.installed.get(name, version) != version:
            yield f"{name}=={version}"


def _docker(answers: bool) -> Check:
    return Check(
        name="docker engine",
        state="ok" if answers else "absent",
        found="answers" if answers else "does not answer: builds run locally",
        apt=("docker.io",),
    )


def _images(why: str | None) -> Check:
    return Check(
        name="toolchain images",
        state="absent" if why else "ok",
        found=f"{safe(why)}: builds run locally" if why else "can be had",
        hint="ci/base-image makes a base; then set BOARDWRIGHT_BASE_IMAGE (docs/docker.md)",
    )


def _emulator(emulator: Emulator, machine: Machine) -> Check:
    there = emulator.qemu in machine.emulators
    return Check(
        name=emulator.qemu,
        state="ok" if there else "absent",
        found="found" if there else "not found: local builds for it are not verified",
        apt=("qemu-user-static",),
    )


def _sysroot(sysroot: str, machine: Machine) -> Check:
    there = sysroot in machine.sysroots
    package = _CROSS_PACKAGES.get(sysroot)
    return Check(
        name=sysroot,
        state="ok" if there else "absent",
        found="found" if there else "not found: local builds for it are not verified",
        apt=(package,) if package else (),
    )


def _javac(version: str) -> Check:
    there = version != "none"
    return Check(
        name="javac",
        state="ok" if there else "absent",
        found=version if there else "not found: local builds make no AAR for Android apps",
        apt=("openjdk-17-jdk-headless",),
    )


def _adb(there: bool) -> Check:
    return Check(
        name="adb",
        state="ok" if there else "absent",
        found="found" if there else "not found: phones are not reached",
        apt=("adb",),
    )


def _cache(facts: Facts) -> Check:
    return Check(
        name="cache",
        state="missing" if facts.cache_problem else "ok",
        found=facts.cache_problem or facts.cache_root,
        hint="make it writable, or choose another folder with BOARDWRIGHT_CACHE_DIR",
    )


def _disk(facts: Facts) -> Check:
    enough = facts.free_bytes >= ENOUGH_DISK_BYTES
    return Check(
        name="disk",
        state="ok" if enough else "absent",
        found=f"{facts.free_bytes / 1024**3:.1f} GiB free",
        hint="boardwright cache clean --max-size 1G",
    )


def _by_program(emulators: Iterable[Emulator]) -> list[Emulator]:
    return [e for _, e in sorted({emulator.qemu: emulator for emulator in emulators}.items())]


def _sysroots(emulators: Iterable[Emulator]) -> list[str]:
    return sorted({emulator.sysroot for emulator in emulators})
