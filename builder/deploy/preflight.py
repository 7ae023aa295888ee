"""May this bundle go to that board? Facts in; nothing, or a refusal with its exact cause, out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from builder.deploy.facts import DeviceFacts
from builder.errors import DeviceRefused
from builder.model.target import ANDROID_ABIS, Target

RESERVE_BYTES = 1 << 20
"""Room that is left on a board, for logs and for what the board itself writes meanwhile."""

_WIDER_ARM = frozenset(
    {"half", "thumb", "fastmult", "vfp", "edsp", "neon", "vfpv3", "vfpv4", "idiva", "idivt", "tls"}
)
"""What every 64-bit Arm has in 32-bit mode; a 64-bit kernel lists only its own names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolNeed:
    """The newest glibc version that a file of the bundle needs, and a symbol that wants it."""

    file: str
    version: tuple[int, ...]
    symbol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a bundle needs of a board, read from its target and from its own ELF files."""

    target: Target
    loaders: tuple[str, ...]  # absolute paths that its programs name
    symbols: tuple[SymbolNeed, ...]


def refuse_unfit(
    facts: DeviceFacts, needs: Needs, *, where: str, allow_exposed: bool = False
) -> None:
    """Raise ``DeviceRefused`` with the first reason why the board cannot take the bundle.

    ``allow_exposed`` is the user's word that whoever may change the root's folders is trusted.

    Reasons: ``wrong-arch``, ``no-loader``, ``old-glibc``, ``wrong-abi``, ``old-android``,
    ``missing-cpu-feature``, ``read-only``, ``no-exec``, ``planted-link``, ``foreign-folder``,
    ``no-permission``, ``exposed-folder``.
    """
    for rule in _RULES if allow_exposed else (*_RULES, _exposed):
        if (failure := rule(facts, needs)) is not None:
            failure.where = where
            failure.state = "nothing was sent"
            raise failure


def fits(facts: DeviceFacts, needed_bytes: int) -> bool:
    """Tell whether ``needed_bytes`` more fit on the board, as far as it is known."""
    return facts.free_bytes is None or needed_bytes + RESERVE_BYTES <= facts.free_bytes


def refuse_full(facts: DeviceFacts, needed_bytes: int, *, where: str) -> None:
    """Raise ``DeviceRefused`` ``no-space`` unless ``needed_bytes`` more fit on the board."""
    if facts.free_bytes is None or fits(facts, needed_bytes):
        return
    raise DeviceRefused(
        f"the board has {_mib(facts.free_bytes)} MiB free on {_mount_point(facts)} and the bundle "
        f"needs {_mib(needed_bytes + RESERVE_BYTES)} MiB more",
        reason="no-space",
        where=where,
        state="nothing was sent",
        remedy="free some space on the board, keep fewer releases (keep: N), or choose another "
        "root for the device",
        details={"free_bytes": facts.free_bytes, "needed_bytes": needed_bytes + RESERVE_BYTES},
    )


def _architecture(facts: DeviceFacts, needs: Needs) -> DeviceRefused | None:
    machines = needs.target.device.machines
    if facts.machine in machines:
        return None
    return DeviceRefused(
        f"the board is {facts.machine}, and {needs.target.name} is for {' or '.join(machines)}",
        reason="wrong-arch",
        remedy="give the device the target that it is; see: boardwright targets list",
    )


def _loader(facts: DeviceFacts, needs: Needs) -> DeviceRefused | None:
    missing = [loader for loader in needs.loaders if not _has_loader(facts, loader)]
    if not facts.loaders or not missing:
        return None
    return DeviceRefused(
        f"the board has no {missing[0]}, so its system is of another word size or C library",
        reason="no-loader",
        why=f"it has {', '.join(facts.loaders[:4])}",
        remedy="give the device a target of that C library (a static musl target needs none)",
    )


def _has_loader(facts: DeviceFacts, loader: str) -> bool:
    # /lib64 is a link to /lib on some systems, and the other way round on others.
    name = loader.rpartition("/")[2]
    return any(found.rpartition("/")[2] == name for found in facts.loaders)


def _glibc(facts: DeviceFacts, needs: Needs) -> DeviceRefused | None:
    newest = max(needs.symbols, key=lambda need: need.version, default=None)
    if facts.glibc is None or newest is None or newest.version <= facts.glibc:
        return None
    return DeviceRefused(
        f"the board has glibc {_dotted(facts.glibc)}, and {newest.file} needs "
        f"{_dotted(newest.version)} ({newest.symbol})",
        reason="old-glibc",
        remedy=f'build for a target with libc.floor "{_dotted(facts.glibc)}" or older',
        details={"glibc": _dotted(facts.glibc), "needed": _dotted(newest.version)},
    )


def _android(facts: DeviceFacts, needs: Needs) -> DeviceRefused | None:
    platform = needs.target.platform
    if platform.libc.api is None or facts.android_api is None:
        return None
    abi = ANDROID_ABIS[platform.arch]
    if facts.android_abis and abi not in facts.android_abis:
        return DeviceRefused(
            f"apps on the device are {' or '.join(facts.android_abis)}, and {needs.target.name} "
            f"is for {abi}",
            reason="wrong-abi",
            remedy="give the device the target that it is; see: boardwright targets list",
        )
    if facts.android_api < platform.libc.api:
        return DeviceRefused(
            f"the device has Android's API level {facts.android_api}, and {needs.target.name} "
            f"needs {platform.libc.api}",
            reason="old-android",
            remedy="build for a target with a lower libc.api, or use a newer device",
        )
    return None


def _features(facts: DeviceFacts, needs: Needs) -> DeviceRefused | None:
    is_x86 = needs.target.platform.arch == "x86_64"
    # An emulator's /proc/cpuinfo is its host's: the other family's spelling says nothing.
    if facts.feature_spelling != ("flags" if is_x86 else "Features"):
        return None
    found = facts.features | (_WIDER_ARM if "asimd" in facts.features else frozenset())
    missing = [word for word in needs.target.cpu.features if word not in found]
    if not missing:
        return None
    return DeviceRefused(
        f"the board's CPU lacks {', '.join(missing)}, which the code for "
        f"{needs.target.cpu.mcpu} uses",
        reason="missing-cpu-feature",
        remedy="build for a target with an older CPU; see: boardwright targets list",
        details={"missing": missing},
    )


def _read_only(facts: DeviceFacts, _: Needs) -> DeviceRefused | None:
    if facts.mount is None or "ro" not in facts.mount.options:
        return None
    return DeviceRefused(
        f"{facts.root} lies on {facts.mount.point}, which is mounted read-only",
        reason="read-only",
        remedy="remount it writable, or give the device a root elsewhere",
    )


def _executable(facts: DeviceFacts, _: Needs) -> DeviceRefused | None:
    if facts.mount is None or "noexec" not in facts.mount.options:
        return None
    return DeviceRefused(
        f"{facts.root} lies on {facts.mount.point}, where no program may be executed (noexec)",
        reason="no-exec",
        remedy="give the device a root on another file system, or remount it with exec",
    )


def _planted(facts: DeviceFacts, _: Needs) -> DeviceRefused | None:
    if not facts.root_is_link:
        return None
    return DeviceRefused(
        f"{facts.root} is a symbolic link",
        reason="planted-link",
        remedy="give the device the folder itself as its root",
    )


def _ownership(facts: DeviceFacts, _: Needs) -> DeviceRefused | None:
    if facts.owned or not facts.root_exists:
        return None
    return DeviceRefused(
        f"{facts.root} belongs to another user than {facts.user}",
        reason="foreign-folder",
        remedy="log in as its owner, or give the device another root",
    )


def _exposed(facts: DeviceFacts, _: Needs) -> DeviceRefused | None:
    if facts.exposed is None:
        return None
    folder, mode, owner = facts.exposed.folder, facts.exposed.mode, facts.exposed.owner
    if owner:
        who, mend = f"user {owner}, who owns {folder},", "log in as its owner"
    else:
        who, mend = (
            f"others may change {folder} ({mode}), and so",
            f"on the board: chmod go-w {folder}",
        )
    return DeviceRefused(
        f"{who} can put other programs in the bundle's place",
        reason="exposed-folder",
        remedy=f"{mend}; or give the device another root, or allow_exposed: true where all who may "
        "change it are trusted",
    )


def _writable(facts: DeviceFacts, _: Needs) -> DeviceRefused | None:
    if facts.writable:
        return None
    return DeviceRefused(
        f"{facts.user} may not write to {facts.place}",
        reason="no-permission",
        remedy="make it writable on the board, or give the device another root",
    )


_RULES: tuple[Callable[[DeviceFacts, Needs], DeviceRefused | None], ...] = (
    _architecture,
    _loader,
    _glibc,
    _android,
    _features,
    _planted,
    _ownership,
    _read_only,
    _executable,
    _writable,
)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _mount_point(facts: DeviceFacts) -> str:
    return facts.mount.point if facts.mount else facts.place


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 20):.1f}"
