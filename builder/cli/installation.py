"""What this installation consists of: its targets, its payload, the tools it pins."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from builder.effects.machine import cpu_fields
from builder.effects.parsed import ParsedValues
from builder.effects.payload_identity import digest, installed_versions, payload_identity
from builder.effects.survey import read_texts
from builder.fingerprint import PayloadIdentity
from builder.matrix.native import FILE, native_text
from builder.package_files import package_root, targets_root, templates_root

_LOCKED = re.compile(r"^([a-z0-9-]+)==([^ \\]+)", re.MULTILINE)


def read_matrix(folders: Sequence[Path]) -> dict[str, str]:
    """Return the texts of the shipped targets, and of the user's ``folders`` that override them.

    This machine is one of the targets, so its real CPU is part of what is parsed and built.
    """
    native = native_text(cpu_fields(), os.cpu_count() or 1)
    here = {FILE: native} if native else {}
    return {**here, **read_texts((targets_root(), *folders))}


def pinned() -> dict[str, str]:
    """Return the version of each distribution that the payload imports, as it is locked."""
    wanted = (
        (templates_root() / "toolchain" / "requirements.in")
        .read_text(encoding="utf-8")
        .splitlines()
    )
    versions = locked()
    return {name: versions[name] for name in wanted if name in versions}


def locked() -> dict[str, str]:
    """Return the version of each distribution that the payload imports or that those need."""
    text = (templates_root() / "toolchain" / "requirements.lock").read_text(encoding="utf-8")
    return dict(_LOCKED.findall(text))


def installed(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of the distributions among ``names`` in this Python environment."""
    return installed_versions(names, sys.path)


def installed_url(name: str) -> str | None:
    """Return where other machines can install distribution ``name`` from as it was here, if at all.

    That is a URL of the web (PEP 610): a wheel's, or a commit's of a repository.
    """
    from importlib import metadata

    try:
        origin = json.loads(metadata.distribution(name).read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return None
    url, vcs = str(origin.get("url", "")), origin.get("vcs_info")
    if not url.startswith(("https://", "http://", "ssh://")):
        return None  # a folder of this machine
    return f"{vcs['vcs']}+{url}@{vcs['commit_id']}" if vcs else url


def parsed_values(cache_root: Path) -> ParsedValues:
    """Return what is remembered of the YAML files that this installation has parsed."""
    parser = digest(package_root(), ("matrix", "model", "project"))
    return ParsedValues(cache_root, parser=parser)


def this_payload() -> PayloadIdentity:
    """Return the identity of the payload that this installation would run."""
    return payload_identity(package_root(), templates_root())
