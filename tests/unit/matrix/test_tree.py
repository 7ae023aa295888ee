from __future__ import annotations

import pytest

from builder.matrix.positions import parse
from builder.matrix.tree import Path, find, label, written

ROOT = parse("cpu: {mattr: [+neon]}\nname: x\n", "f.yaml")


@pytest.mark.parametrize(
    "path", [("nothing",), ("cpu", 0), ("cpu", "mattr", 1), ("cpu", "mattr", -1), ("name", "x")]
)
def test_a_path_may_lead_nowhere(path: Path) -> None:
    assert find(ROOT, path) is None


@pytest.mark.parametrize(
    ("path", "beginning"),
    [
        (("cpu", "mattr", 0), ("cpu", "mattr", 0)),
        (("cpu", "mattr", 7), ("cpu", "mattr")),
        (("cpu", "cores"), ("cpu",)),
        (("bench", "threads", 0), ()),
    ],
)
def test_what_was_written_of_a_path(path: Path, beginning: Path) -> None:
    assert written(ROOT, path) == beginning


@pytest.mark.parametrize(
    ("path", "spelled"),
    [
        (("cpu", "mattr", 0), "cpu.mattr[0]"),
        (("name",), "name"),
        ((), ""),
        (("a\x1b[2J", "b"), r"'a\x1b[2J'.b"),
    ],
)
def test_paths_are_spelled_for_people(path: Path, spelled: str) -> None:
    assert label(path) == spelled
