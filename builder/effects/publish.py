"""The output folder: ``<out>/<model>/<target>/`` holds a whole result or the one before it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from builder.beneath import read_plain
from builder.effects.artifact_index import regular_files
from builder.effects.digest_memo import DigestMemo, sha256_of
from builder.effects.durable import (
    copy_synced,
    refusals,
    sync_folder,
    write_atomically,
    write_synced,
)
from builder.effects.ownership import owned_folder, sweep
from builder.effects.swap import put_in_place
from builder.errors import BuildFailed, UsageError
from builder.model.receipt import Receipt

_RECEIPT = "receipt.json"
_RECEIPT_BYTES = 64 << 20
_BUNDLE = "bundle"
_ARCHIVE = "bundle.tar.gz"


@dataclass(frozen=True, slots=True, kw_only=True)
class _PublishedFile:
    """A line of ``files`` in ``receipt.json``: path in the target's folder, SHA-256, may be run."""

    path: str
    sha256: str
    executable: bool


class Publisher:
    """Publishes below ``out``. What is published is the user's: writable, shared with no cache.

    ``private`` shuts the folders to others, as the model is shut to them whose weights they hold.

    A model or target name that is no plain file name raises ``UsageError`` ``unsafe-name``; what
    the disk refuses, ``BuildFailed`` ``disk-full`` or ``out-unwritable``.
    """

    def __init__(self, out: Path, memo: DigestMemo, *, private: bool = False) -> None:
        self._private = private
        self._out = out.absolute()
        self._memo = memo

    def bundle_path(self, model: str, target: str) -> Path:
        """Return where the bundle folder of a target lies, or will."""
        return self._place(model, target) / _BUNDLE

    def is_current(self, model: str, target: str, key: str) -> Receipt | None:
        """Return the receipt that lies there when it is of ``key`` and its bundle is untouched.

        Files added by others do not count. Large files are read only when their stamp is unknown.
        """
        place = self._place(model, target)
        try:
            content = json.loads(read_plain(place / _RECEIPT, _RECEIPT_BYTES))
            receipt, files = Receipt.from_json(content), _files_from_json(content)
            if not self._is_about(receipt, model, target, key):
                return None
            return receipt if all(self._is_untouched(place, file) for file in files) else None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None

    def publish(self, receipt: Receipt, assembled: Path) -> Path:
        """Put the artifact that holds a bundle and its receipt in place; return that folder."""
        place = self._place(receipt.model, receipt.target)
        with self._refusals(), self._replacing(place) as fresh:
            files = tuple(
                self._copied(source, fresh, path, place)
                for path, source in _published_paths(receipt, assembled)
            )
            for folder in {Path(fresh, file.path).parent for file in files}:
                sync_folder(folder)
            write_synced(fresh / _RECEIPT, _dump(receipt, files))
        return place

    def publish_failure(self, receipt: Receipt, evidence: Path | None = None) -> Path:
        """Put the receipt of a failed target in the place of whatever was there.

        The files of the folder ``evidence`` lie beside it then, in ``bisect/``.
        """
        place = self._place(receipt.model, receipt.target)
        try:
            with self._refusals(), self._replacing(place) as fresh:
                for path, source in regular_files(evidence) if evidence else ():
                    self._copied(source, fresh, f"bisect/{path}", place)
                write_synced(fresh / _RECEIPT, _dump(receipt, ()))
        except BuildFailed:
            # Where not even that can be written, what is no longer true can still go.
            with suppress(OSError):
                (place / _RECEIPT).unlink()
            raise
        return place

    def update_receipt(self, receipt: Receipt) -> None:
        """Replace the receipt of a bundle that stays as it is."""
        path = self._place(receipt.model, receipt.target) / _RECEIPT
        with self._refusals():
            files = _files_from_json(json.loads(read_plain(path, _RECEIPT_BYTES)))
            write_atomically(path, _dump(receipt, files))

    def _place(self, model: str, target: str) -> Path:
        for name in (model, target):
            plain = name and name.isprintable() and name == Path(name).name
            if not plain or name.startswith("."):
                raise UsageError(
                    f"{name!r} cannot name a folder",
                    reason="unsafe-name",
                    remedy="use letters, digits, '.', '-' and '_', and no '.' in front",
                )
        return self._out / model / target

    def _is_about(self, receipt: Receipt, model: str, target: str, key: str) -> bool:
        wanted = ("ok", model, target, key)
        if (receipt.status, receipt.model, receipt.target, receipt.key) != wanted:
            return False
        # A receipt that was moved with its folder names a bundle that is elsewhere.
        return receipt.bundle is not None and receipt.bundle.path == str(
            self.bundle_path(model, target)
        )

    def _is_untouched(self, place: Path, file: _PublishedFile) -> bool:
        path = place / file.path
        executable = bool(path.lstat().st_mode & 0o100)
        return executable == file.executable and self._memo.sha256(path) == file.sha256

    @contextmanager
    def _replacing(self, place: Path) -> Iterator[Path]:
        place.parent.mkdir(parents=True, exist_ok=True)
        sweep(place.parent)
        with owned_folder(place.parent) as aside:
            fresh = aside / "fresh"
            fresh.mkdir()
            fresh.chmod(0o700 if self._private else 0o755)
            yield fresh
            sync_folder(fresh)
            put_in_place(fresh, place)
            sync_folder(place.parent)

    def _copied(self, source: Path, fresh: Path, path: str, place: Path) -> _PublishedFile:
        copy = fresh / path
        executable = bool(source.stat().st_mode & 0o111)
        _make_folders(copy.parent, fresh)
        copy_synced(source, copy, mode=0o755 if executable else 0o644)
        sha256 = sha256_of(copy)
        self._memo.seal(copy, sha256, moves_to=place / path)
        return _PublishedFile(path=path, sha256=sha256, executable=executable)

    def _refusals(self) -> AbstractContextManager[None]:
        return refusals(
            self._out,
            unwritable="out-unwritable",
            remedy="make the output folder writable, or choose another with --out",
        )


def _published_paths(receipt: Receipt, assembled: Path) -> Iterator[tuple[str, Path]]:
    for path, source in regular_files(assembled / _BUNDLE):
        yield f"{_BUNDLE}/{path}", source
    yield f"{receipt.model}-{receipt.target}.tar.gz", assembled / _ARCHIVE


def _make_folders(folder: Path, root: Path) -> None:
    if folder != root and not folder.exists():
        _make_folders(folder.parent, root)
        folder.mkdir()
        folder.chmod(0o755)


def _dump(receipt: Receipt, files: tuple[_PublishedFile, ...]) -> bytes:
    content = receipt.to_json() | {"files": [asdict(file) for file in files]}
    return (json.dumps(content, indent=2) + "\n").encode()


def _files_from_json(content: dict[str, Any]) -> tuple[_PublishedFile, ...]:
    return tuple(_PublishedFile(**file) for file in content["files"])
