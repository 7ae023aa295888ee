"""What goes in is streamed, without this machine's owners, times or modes."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from builder.effects.docker_pack import (
    Copy,
    Entry,
    Folder,
    Text,
    folder_entries,
    pack,
    source_entries,
)
from builder.errors import BuildFailed
from builder.model.source import Source, SourceFile


def members(entries: Iterable[Entry]) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(pack(iter(entries))))) as archive:
        return {member.name: member for member in archive.getmembers()}


def test_owners_modes_and_times_are_what_the_container_needs(tmp_path: Path) -> None:
    file = tmp_path / "run"
    file.write_bytes(b"x" * 1000)
    file.chmod(0o700)
    packed = members([Text(path="job.json", text="{}"), Folder(path="output", owner=7)])
    packed |= members([Copy(path="bin/run", file=file)])
    facts = {name: (m.uid, m.gid, m.mode, m.mtime, m.size) for name, m in packed.items()}
    assert facts == {
        "job.json": (0, 0, 0o644, 0, 2),
        "output": (7, 7, 0o755, 0, 0),
        "bin/run": (0, 0, 0o755, 0, 1000),
    }


def test_a_folder_is_packed_in_order_and_without_bytecode(tmp_path: Path) -> None:
    for name in ("b/two.py", "a.py", "b/__pycache__/two.pyc", "b/ünïcode-" + "n" * 180):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    packed = members(folder_entries(tmp_path, "package"))
    assert list(packed) == [
        "package",
        "package/a.py",
        "package/b",
        "package/b/two.py",
        "package/b/ünïcode-" + "n" * 180,
    ]


def test_a_source_is_its_own_files_and_no_neighbours(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"onnx")
    (tmp_path / "secret").write_bytes(b"")
    file = SourceFile(path="model.onnx", sha256="0" * 64, size_bytes=4)
    source = Source(files=(file,), root=tmp_path)
    assert list(members(source_entries(source, "sources/model"))) == [
        "sources/model",
        "sources/model/model.onnx",
    ]


def test_a_large_file_comes_in_small_pieces(tmp_path: Path) -> None:
    file = tmp_path / "weights.bin"
    with file.open("wb") as stream:
        stream.truncate(40 << 20)
    sizes = [len(piece) for piece in pack(iter([Copy(path="weights.bin", file=file)]))]
    assert max(sizes) <= 1 << 20
    assert sum(sizes) >= 40 << 20


def test_a_file_that_shrinks_is_named(tmp_path: Path) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(bytes(3 << 20))
    pieces = pack(iter([Copy(path="weights.bin", file=file)]))
    next(pieces)
    file.write_bytes(b"")
    with pytest.raises(BuildFailed) as caught:
        list(pieces)
    assert (caught.value.reason, caught.value.where) == ("source-changed", str(file))


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed) as caught:
        list(pack(iter([Copy(path="x", file=tmp_path / "gone")])))
    assert caught.value.reason == "source-changed"
