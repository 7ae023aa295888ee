"""Phones that adb knows, taken for devices without being listed: ``adb:SERIAL``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from builder.cli.environment import Environment
from builder.cli.fleet import choose_devices, known_devices
from builder.effects.adb.board import AdbBoard
from builder.effects.adb.server import attached, require
from builder.effects.adb.settings import AdbSettings, read_adb_settings
from builder.effects.adb.shell import AdbShell
from builder.effects.board_failures import shown
from builder.errors import BoardwrightError, DeviceRefused
from builder.model.device import Device
from builder.model.target import ANDROID_ABIS

SCHEME = "adb:"
_TARGETS = {
    ANDROID_ABIS["aarch64"]: "android-arm64",
    ANDROID_ABIS["armv7"]: "android-armv7",
    ANDROID_ABIS["x86_64"]: "android-x86_64",
}
"""The target that an attached phone is taken for, by its ABI."""


def devices_meant(
    environment: Environment, patterns: Sequence[str], tags: Sequence[str]
) -> tuple[Device, ...]:
    """Return the devices that are meant, as ``choose_devices`` does.

    Attached phones count where ``patterns`` speak of them, and where no device is listed at all.
    Raises besides: ``UsageError`` ``no-adb``, ``DeviceLost`` (``no-device``, ``device-offline``),
    ``DeviceRefused`` (``unauthorized``, ``unknown-abi``) for a phone that is named.
    """
    known = known_devices(environment)
    named = [pattern for pattern in patterns if pattern.startswith(SCHEME)]
    if named or not known:
        known = (*known, *_phones(_settings(environment), named))
    return choose_devices(known, patterns, tags)


def attached_phones(environment: Environment) -> tuple[tuple[str, str, str], ...]:
    """Return device name, target (``-`` for none) and state of every phone the adb server knows."""
    settings = _settings(environment)
    targets = {device.name: device.target for device in _phones(settings, ())}
    names = ((f"{SCHEME}{phone.serial}", phone.state) for phone in attached(settings))
    return tuple((name, targets.get(name, "-"), state) for name, state in names)


def _settings(environment: Environment) -> AdbSettings:
    return read_adb_settings(environment.variables, environment.search_path)


def _phones(settings: AdbSettings, named: Sequence[str]) -> Iterator[Device]:
    for pattern in named:
        if not any(character in pattern for character in "*?["):
            require(settings, pattern.removeprefix(SCHEME))
    for phone in attached(settings):
        name = f"{SCHEME}{phone.serial}"
        if phone.state == "device":
            try:
                yield _device(settings, phone.serial, name)
            except BoardwrightError:
                if name in named:
                    raise


def _device(settings: AdbSettings, serial: str, name: str) -> Device:
    board = AdbBoard(AdbShell(settings=settings, serial=serial))
    answer = board.run(("getprop", "ro.product.cpu.abi"), limit_bytes=4096, timeout_s=15)
    abi = answer.stdout.decode("utf-8", "replace").strip()
    if abi not in _TARGETS:
        raise DeviceRefused(
            f"no target is for the ABI {shown(abi) or 'that the device does not tell'}",
            reason="unknown-abi",
            where=name,
            why=f"there are {', '.join(_TARGETS)}",
            remedy="list the device under devices: in boardwright.yaml with a target of your own",
        )
    return Device(name=name, target=_TARGETS[abi], host=name, root=None, tags=())
