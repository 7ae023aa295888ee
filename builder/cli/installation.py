"""What this installation consists of: its targets, its payload, the tools it pins."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from builder.effects.package_files import package_root, targets_root, templates_root
from builder.effects.payload_identity import installed_versions, payload_identity
from builder.effects.survey import read_texts
from builder.fingerprint import PayloadIdentity


def read_matrix(folders: Sequence[Path]) -> dict[str, str]:
    """Return the texts of the shipped targets, and of the user's ``folders`` that override them."""
    return read_texts((targets_root(), *folders))


def pinned() -> dict[str, str]:
    """Return the version of each distribution that the payload is made for."""
    path = templates_root() / "toolchain" / "requirements.in"
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if not line.startswith("#"))
    return {name: version for name, version in pairs}


def installed(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of the distributions among ``names`` in this Python environment."""
    return installed_versions(names, sys.path)


def this_payload() -> PayloadIdentity:
    """Return the identity of the payload that this installation would run."""
    return payload_identity(package_root(), templates_root())
