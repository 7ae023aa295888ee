from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest

from builder.effects import swap


@pytest.fixture(params=["exchange", "two renames"])
def put_in_place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> object:
    if request.param == "two renames":
        monkeypatch.setattr(swap, "_exchange", _unsupported)
    return request.param


@pytest.fixture
def new(tmp_path: Path) -> Path:
    folder = tmp_path / "aside" / "fresh"
    folder.mkdir(parents=True)
    (folder / "new").touch()
    return folder


@pytest.mark.usefixtures("put_in_place")
def test_takes_an_empty_place(tmp_path: Path, new: Path) -> None:
    swap.put_in_place(new, tmp_path / "place")
    assert (tmp_path / "place" / "new").exists()


@pytest.mark.usefixtures("put_in_place")
def test_leaves_what_was_there_beside_the_folder(tmp_path: Path, new: Path) -> None:
    (tmp_path / "place" / "old").mkdir(parents=True)
    swap.put_in_place(new, tmp_path / "place")
    assert [path.name for path in (tmp_path / "place").iterdir()] == ["new"]
    assert [path.name for path in new.parent.glob("*/*")] == ["old"]


@pytest.mark.usefixtures("put_in_place")
@pytest.mark.parametrize("kind", ["file", "link"])
def test_replaces_what_is_no_folder(tmp_path: Path, new: Path, kind: str) -> None:
    place = tmp_path / "place"
    if kind == "file":
        place.touch()
    else:
        (tmp_path / "elsewhere").mkdir()
        place.symlink_to(tmp_path / "elsewhere")
    swap.put_in_place(new, place)
    assert not place.is_symlink()
    assert (place / "new").exists()


def _unsupported(one: Path, other: Path) -> NoReturn:
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), f"{one} {other}")
