"""The output folder: ``<out>/<model>/<target>/`` holds a whole result or the one before it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from builder.beneath import read_plain
from builder.effects.artifact_index import regular_files
from builder.effects.digest_memo import DigestMemo, sha256_of
from builder.effects.durable import (
    copy_synced,
    refusals,
    remove_tree,
    sync_folder,
    write_atomically,
    write_synced,
)
from builder.effects.ownership import owned_folder, sweep
from builder.effects.swap import put_in_place
from builder.errors import UsageError
from builder.model.receipt import RECEIPT_BYTES, LastGood, Receipt

_RECEIPT = "receipt.json"
_LAST_GOOD = "last-good.json"
_EVIDENCE = "bisect"
_BUNDLE = "bundle"
_ARCHIVE = "bundle.tar.gz"


@dataclass(frozen=True, slots=True, kw_only=True)
class _PublishedFile:
    """A line of ``files`` in ``receipt.json``: path in the target's folder, SHA-256, may be run."""

    path: str
    sha256: str
    executable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Good:
    """A receipt at ``path`` that tells of a bundle with ``files``."""

    path: Path
    receipt: Receipt
    files: tuple[_PublishedFile, ...]
    written: datetime

    @property
    def is_current(self) -> bool:
        return self.path.name == _RECEIPT


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
        """Return the receipt of the bundle there when it is of ``key`` and the bundle is untouched.

        Failed builds since do not count, nor do files added by others. Large files are read only
        when their stamp is unknown.
        """
        for good in _good_receipts(self._place(model, target)):
            if self._is_about(good.receipt, model, target, key) and self._is_whole(good):
                return good.receipt
        return None

    def last_good(self, model: str, target: str) -> LastGood | None:
        """Return what is known of the bundle that lies there, whatever was built since."""
        place = self._place(model, target)
        good = next(_good_receipts(place), None)
        return _last_good(good) if good and (place / _BUNDLE).is_dir() else None

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
        """Put the receipt of a failed target beside the last good bundle, which stays as it is.

        The receipt of that bundle is ``last-good.json`` then. The files of the folder ``evidence``
        replace ``bisect/``.
        """
        place = self._place(receipt.model, receipt.target)
        with self._refusals():
            place.mkdir(parents=True, exist_ok=True)
            # A rename first: where the new receipt cannot be written, none says that all is well.
            good = next(_good_receipts(place), None)
            if good and good.is_current:
                good.path.replace(place / _LAST_GOOD)
            write_atomically(place / _RECEIPT, _dump(receipt, ()))
            self._replace_evidence(place, evidence)  # the largest comes last: it may not fit
        return place

    def update_receipt(self, receipt: Receipt) -> None:
        """Replace the receipt of a bundle that stays as it is, unless only the seconds differ.

        What a failed build left goes.
        """
        place = self._place(receipt.model, receipt.target)
        good = next(_good_receipts(place), None)
        if good is None or (good.is_current and _says_the_same(good.receipt, receipt)):
            return
        with self._refusals():
            write_atomically(place / _RECEIPT, _dump(receipt, good.files))
            remove_tree(place / _LAST_GOOD)
            remove_tree(place / _EVIDENCE)

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

    def _is_whole(self, good: _Good) -> bool:
        with suppress(OSError):
            return all(self._is_untouched(good.path.parent, file) for file in good.files)
        return False

    def _is_untouched(self, place: Path, file: _PublishedFile) -> bool:
        path = place / file.path
        executable = bool(path.lstat().st_mode & 0o100)
        return executable == file.executable and self._memo.sha256(path) == file.sha256

    def _replace_evidence(self, place: Path, evidence: Path | None) -> None:
        remove_tree(place / _EVIDENCE)
        if evidence is not None:
            with self._replacing(place / _EVIDENCE) as fresh:
                for path, source in regular_files(evidence):
                    self._copied(source, fresh, path, place / _EVIDENCE)

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


def _good_receipts(place: Path) -> Iterator[_Good]:
    """Give the receipts in ``place`` that tell of a bundle, the newest first."""
    for path in (place / _RECEIPT, place / _LAST_GOOD):
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            content, written = json.loads(read_plain(path, RECEIPT_BYTES)), path.stat().st_mtime
            good = _Good(
                path=path,
                receipt=Receipt.from_json(content),
                files=_files_from_json(content),
                written=datetime.fromtimestamp(int(written), UTC),
            )
            if good.receipt.status == "ok" and good.receipt.bundle is not None:
                yield good


def _says_the_same(one: Receipt, other: Receipt) -> bool:
    return replace(one, seconds=0.0) == replace(other, seconds=0.0)


def _last_good(good: _Good) -> LastGood:
    receipt = good.receipt
    assert receipt.bundle is not None
    return LastGood(
        path=str(good.path.parent / _BUNDLE),
        sha256=receipt.bundle.sha256,
        key=receipt.key,
        published_utc=good.written.strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


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
