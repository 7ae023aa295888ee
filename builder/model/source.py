"""Files that come from the user, named by content."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file below a source's root: relative POSIX path, content digest (SHA-256 hex), size."""

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A model with its external data, or a set of check inputs: the first file is the main one.

    Where it lies (``root``) is not identity: the same bytes in another folder are the same source.
    """

    files: tuple[SourceFile, ...]
    root: Path = field(compare=False)

    @property
    def main(self) -> Path:
        return self.root / self.files[0].path
