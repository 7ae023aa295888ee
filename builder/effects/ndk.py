"""Find the Android NDK that the environment names."""

from __future__ import annotations

import re
from pathlib import Path

from builder.errors import UsageError
from builder.model.toolchain import Ndk
from builder.toolchain.ndk import clang

OLDEST_NDK = 23
"""The first whose only tools are LLVM's."""

_REVISION = re.compile(r"^Pkg\.Revision\s*=\s*(\d+(?:\.\d+)*(?:-\w+)?)\s*$", re.MULTILINE)
_WITHOUT = "unset ANDROID_NDK_HOME to build without an NDK"


def find_ndk(root: str | None) -> Ndk | None:
    """Return the NDK in the folder ``root``, or None where none is named.

    Raises ``UsageError``: ``ndk-not-found``, ``ndk-too-old``.
    """
    if not root:
        return None
    place = Path(root).absolute()
    ndk = Ndk(revision=_revision(place), root=place)
    if int(re.split(r"\D", ndk.revision)[0]) < OLDEST_NDK:
        raise UsageError(
            f"the NDK {ndk.revision} is too old",
            reason="ndk-too-old",
            where=str(place),
            remedy=f"name one of revision {OLDEST_NDK} or later, or {_WITHOUT}",
        )
    if not clang(ndk).is_file():
        raise _not_found(place, f"{clang(ndk).relative_to(place)} is missing")
    return ndk


def _revision(place: Path) -> str:
    try:
        text = (place / "source.properties").read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise _not_found(place, f"source.properties: {error.strerror}") from None
    if (found := _REVISION.search(text)) is None:
        raise _not_found(place, "source.properties names no Pkg.Revision")
    return found[1]


def _not_found(place: Path, why: str) -> UsageError:
    return UsageError(
        "ANDROID_NDK_HOME is not an NDK for this machine",
        reason="ndk-not-found",
        where=str(place),
        why=why,
        remedy=f"name the folder of an NDK, or {_WITHOUT}",
    )
