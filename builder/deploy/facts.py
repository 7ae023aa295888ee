"""What a board is, from the answer of ``templates/device/probe.sh``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from builder.deploy.exposure import Exposure, exposed
from builder.deploy.replies import Replies, broken_answer

_VERSION = re.compile(r"(?:release version|^glibc) (\d+(?:\.\d+)+)")
_PATH = re.compile(r"/[ -~]{0,1023}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """One thermal zone, in degrees Celsius."""

    name: str
    celsius: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceClock:
    """The clock of something beside the cores, memory or a GPU; now, in kHz."""

    name: str
    khz: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """What a path lies on: the mount point, and its type with the mount's options."""

    point: str
    options: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """A board as it shows itself; None and empty where it cannot be known.

    ``glibc`` is (2, 36). ``features`` are the CPU's as ``feature_spelling`` (``Features`` on Arm,
    ``flags`` on x86) of /proc/cpuinfo has them. ``root`` is the absolute folder for bundles;
    ``place`` is that folder, or the nearest existing one above it, and ``mount``, ``writable``,
    ``owned`` and ``free_bytes`` are about ``place``; ``exposed`` is the first folder, from
    there up, that others may change. Frequencies are in kHz, memory in bytes.
    """

    machine: str
    kernel: str
    os: str | None
    board: str | None
    boot: str
    user: str
    date: str | None
    uptime_s: int | None
    glibc: tuple[int, ...] | None
    loaders: tuple[str, ...]
    android_api: int | None
    android_abis: tuple[str, ...]
    feature_spelling: str | None
    features: frozenset[str]
    cores: int | None
    memory_bytes: int | None
    available_bytes: int | None
    governor: str | None
    frequency_khz: tuple[int | None, int | None, int | None]  # now, least, most
    clocks: tuple[DeviceClock, ...]
    sensors: tuple[Sensor, ...]
    throttled: str | None
    l4t: str | None
    nvpmodel: str | None
    tools: tuple[str, ...]
    root: str
    root_is_link: bool
    root_exists: bool
    place: str
    writable: bool
    owned: bool
    exposed: Exposure | None
    mount: Mount | None
    free_bytes: int | None

    @property
    def links_files(self) -> bool:
        """Tell whether files may have several names; Android's policy forbids it to its shell."""
        return self.android_api is None


def facts_of(replies: Replies, *, where: str) -> DeviceFacts:
    """Return the facts in a probe's answer. Raises ``DeviceLost`` ``garbled-output``."""
    spelling, _, features = (replies.first("features") or "").partition(" ")
    return DeviceFacts(
        machine=replies.first("machine") or "unknown",
        kernel=replies.first("kernel") or "unknown",
        os=_unquoted(replies.first("os")),
        board=replies.first("board"),
        boot=replies.first("boot") or "none",
        user=replies.first("user") or "unknown",
        date=replies.first("date"),
        uptime_s=_number(replies.first("uptime_s")),
        glibc=_glibc(replies),
        loaders=replies.all("loader"),
        android_api=_number(replies.first("android")),
        android_abis=tuple((replies.first("abis") or "").replace(",", " ").split()),
        feature_spelling=spelling or None,
        features=frozenset(features.split()),
        cores=_number(replies.first("cores")) or None,
        memory_bytes=kib_in_bytes(replies.first("MemTotal")),
        available_bytes=kib_in_bytes(replies.first("MemAvailable")),
        governor=replies.first("governor"),
        frequency_khz=(
            _number(replies.first("current_khz")),
            _number(replies.first("least_khz")),
            _number(replies.first("most_khz")),
        ),
        clocks=tuple(filter(None, map(_clock, replies.all("clock")))),
        sensors=tuple(filter(None, map(_sensor, replies.all("sensor")))),
        throttled=replies.first("throttled"),
        l4t=replies.first("l4t"),
        nvpmodel=replies.first("nvpmodel"),
        tools=replies.all("tool"),
        root=_path(replies.first("root"), where),
        root_is_link=replies.first("root_state") == "link",
        root_exists="there" in replies.all("root_state"),
        place=_path(replies.first("place"), where),
        writable=replies.first("writable") == "yes",
        owned=replies.first("owned") == "yes",
        exposed=_exposed(replies),
        mount=_mount(replies.first("mount")),
        free_bytes=kib_in_bytes(replies.first("free_kib")),
    )


def _exposed(replies: Replies) -> Exposure | None:
    # Android's own folders belong to its services.
    if replies.first("android"):
        return None
    return exposed(replies.first("place") or "/", replies.first("uid"), replies.all("up"))


def checked_path(path: str | None, where: str) -> str:
    """Return a path that a board told. Raises ``DeviceLost`` where it cannot be one of its own."""
    return _path(path, where)


def _path(path: str | None, where: str) -> str:
    if path is None or not _PATH.fullmatch(path) or ".." in path.split("/"):
        raise broken_answer(where, f"the folder {path!r}")
    return path.rstrip("/") or "/"


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) <= 18 else None


def kib_in_bytes(text: str | None) -> int | None:
    """Return a number of KiB that a board told in bytes, None where it is no number."""
    number = _number(text)
    return None if number is None else number * 1024


def _glibc(replies: Replies) -> tuple[int, ...] | None:
    # Where there are several C libraries, the program's own is not known: the newest is no lie
    # that the check on the device would not find out.
    found = [_VERSION.search(text) for text in (*replies.all("glibc"), *replies.all("libc"))]
    versions = [tuple(map(int, match[1].split("."))) for match in found if match]
    return max(versions, default=None)


def _sensor(text: str) -> Sensor | None:
    degrees, _, name = text.partition(" ")
    if not re.fullmatch(r"-?\d{1,7}", degrees):
        return None
    value = int(degrees)
    # The kernel's unit is a thousandth of a degree; a few old drivers say degrees.
    return Sensor(name=name, celsius=value / 1000 if abs(value) >= 1000 else float(value))


def _clock(text: str) -> DeviceClock | None:
    rate, _, name = text.partition(" ")
    hertz = _number(rate)
    return None if hertz is None else DeviceClock(name=name, khz=hertz // 1000)


def _mount(text: str | None) -> Mount | None:
    point, _, options = (text or "").partition(" ")
    if not point:
        return None
    return Mount(point=point, options=frozenset(options.replace(",", " ").split()))


def _unquoted(text: str | None) -> str | None:
    return text.strip("\"'") if text else None
