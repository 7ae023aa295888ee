"""Whose files are obeyed: what a project, a cache or a list of devices says is done as the caller.

As git has it (git-config(1), safe.directory): what another user owns could have been put there to
be found. The caller's own files are obeyed, root's, and with sudo those of who called it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.errors import UsageError

ALLOW = "BOARDWRIGHT_SAFE_DIRECTORY"
"""Folders, joined by ``:``, that are obeyed whoever owns them; ``*`` is all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """The users whose files are obeyed, and folders that are whoever owns them."""

    users: frozenset[int]
    folders: tuple[str, ...] = ()

    @classmethod
    def of(cls, variables: Mapping[str, str], user: int) -> Trust:
        """Return the trust of a process that ``user`` runs with these environment variables."""
        caller = variables.get("SUDO_UID", "") if user == 0 else ""
        called_by = {int(caller)} if caller.isascii() and caller.isdigit() else set()
        return cls(
            users=frozenset({0, user} | called_by),
            folders=tuple(part for part in variables.get(ALLOW, "").split(":") if part),
        )

    def require(self, *paths: Path) -> None:
        """Raise ``UsageError`` ``foreign-owner`` for the first path that others own.

        Links count as well as what they lead to; what is not there is nobody's.
        """
        for path in paths:
            owner = next((one for one in _owners(path) if one not in self.users), None)
            if owner is not None and not self._allows(path):
                raise _foreign(path, owner)

    def _allows(self, path: Path) -> bool:
        real = path.parent.resolve() / path.name
        allowed = [Path(folder).resolve() for folder in self.folders if folder != "*"]
        return "*" in self.folders or any(real.is_relative_to(folder) for folder in allowed)


def _owners(path: Path) -> list[int]:
    try:
        return [path.lstat().st_uid, path.stat().st_uid]
    except OSError:  # whoever reads it says what is wrong
        return [path.lstat().st_uid] if path.is_symlink() else []


def _foreign(path: Path, owner: int) -> UsageError:
    folder = path if path.is_dir() else path.parent
    return UsageError(
        f"this belongs to another user (uid {owner}), and may have been put there to be obeyed",
        reason="foreign-owner",
        where=str(path),
        remedy=f"if you trust who owns it, add {folder} to {ALLOW}",
        details={"owner": owner, "caller": os.geteuid()},
    )
