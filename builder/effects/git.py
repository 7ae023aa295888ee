"""What a git work tree says of itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from builder.errors import UsageError


def work_tree(folder: Path) -> Path | None:
    """Return the root of the work tree that ``folder`` lies in, or None where there is none."""
    done = _git(folder, "rev-parse", "--show-toplevel")
    return Path(os.fsdecode(done.stdout).removesuffix("\n")) if done.returncode == 0 else None


def changed_since(folder: Path, reference: str) -> frozenset[Path]:
    """Return the files that differ from where this work tree and ``reference`` parted.

    Absolute paths: committed, staged and unstaged changes, removed files and new ones that git does
    not ignore. Raises ``UsageError`` ``not-a-repository``, ``unknown-ref``.
    """
    root = work_tree(folder)
    if root is None:
        raise UsageError("not inside a git work tree", reason="not-a-repository", where=str(folder))
    parted = _git(root, "merge-base", "--end-of-options", reference, "HEAD")
    if parted.returncode != 0:
        raise _unknown(reference, parted)
    base = os.fsdecode(parted.stdout).strip()
    # A renamed file is one that went and one that came: both names count.
    tracked = _git(root, "diff", "--name-only", "--no-renames", "--no-ext-diff", "-z", base, "--")
    new = _git(root, "ls-files", "--others", "--exclude-standard", "-z")
    if tracked.returncode != 0 or new.returncode != 0:
        raise _unknown(reference, tracked)
    names = os.fsdecode(tracked.stdout + new.stdout).split("\0")
    return frozenset(root / name for name in names if name)


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = ("git", "-C", str(folder), *arguments)
    try:
        return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    except FileNotFoundError:
        raise UsageError(
            "the git command is missing", reason="no-git", remedy="apt-get install git"
        ) from None


def _unknown(reference: str, done: subprocess.CompletedProcess[bytes]) -> UsageError:
    said = os.fsdecode(done.stderr).strip().splitlines()
    return UsageError(
        f"cannot compare with {reference!r}",
        reason="unknown-ref",
        why=said[0] if said else "this checkout and it have no common ancestor",
        remedy="fetch it with its history: git fetch --unshallow, or fetch-depth: 0 in CI",
    )
