"""Which targets have to be built again, from the files that have changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path


def affected(
    changed: Collection[Path], *, shared: Collection[Path], own: Mapping[str, Collection[Path]]
) -> tuple[str, ...]:
    """Return the targets whose bundles may differ now that the files ``changed`` did.

    ``shared`` are the files that every bundle is made from (the project file, the model and its
    external data, inputs); ``own`` those of one target alone: its file and its ancestors'. A folder
    stands for everything in it. All paths are absolute.
    """
    if any(_touches(path, shared) for path in changed):
        return tuple(own)
    return tuple(
        name for name, files in own.items() if any(_touches(path, files) for path in changed)
    )


def _touches(path: Path, files: Collection[Path]) -> bool:
    return any(path == file or file in path.parents for file in files)
