"""Read what the user gave, and nothing it must not lead to, into values named by content."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from builder.beneath import open_beneath, open_plain
from builder.effects.digest_memo import DigestMemo, Stamp
from builder.effects.external_files import locate
from builder.effects.external_references import external_references
from builder.errors import UsageError
from builder.matrix import decode
from builder.model.source import Source, SourceFile

_TARGET_FILE_BYTES = 1 << 20
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")


def survey_model(path: Path, memo: DigestMemo) -> Source:
    """Return the model at ``path`` with its external data files, each by its SHA-256.

    A link to a model counts as the file it leads to. External data must be plain files below the
    model's own folder, reached through no link. ONNX is imported only for a model that ``memo``
    does not know. Raises ``UsageError`` ``no-such-model`` or ``unreadable-model``; ``ModelRefused``
    as ``external_references`` and ``external_files.locate`` raise it.
    """
    model = _existing(path, kind="model")
    root = model.parent
    try:
        references = _references(model, memo)
        located = {locate(model, *reference) for reference in references.items()}
        others = sorted(located - {model.name})
        return Source(
            root=root, files=tuple(_digest(root, name, memo) for name in (model.name, *others))
        )
    except OSError as error:
        raise _unreadable(error, path, kind="model") from error


def survey_npz(path: Path, memo: DigestMemo) -> Source:
    """Return the check inputs at ``path``, of which only the first bytes are looked at.

    Raises ``UsageError``: ``no-such-inputs``, ``unreadable-inputs``, ``not-npz``.
    """
    inputs = _existing(path, kind="inputs")
    try:
        with os.fdopen(open_plain(inputs), "rb") as file:
            magic = file.read(4)
        if magic not in _ZIP_MAGICS:
            raise UsageError(
                "this is not an .npz file",
                reason="not-npz",
                where=str(path),
                remedy="write it with numpy.savez, one array per model input, by name",
            )
        return Source(root=inputs.parent, files=(_digest(inputs.parent, inputs.name, memo),))
    except OSError as error:
        raise _unreadable(error, path, kind="inputs") from error


def survey_dump(folder: Path, memo: DigestMemo) -> Source:
    """Return what ``bin/run --dump`` wrote into ``folder``: its list first, then every tensor.

    Raises ``UsageError``: ``no-such-dump``, ``unreadable-dump``.
    """
    listed = _existing(folder / "dump.json", kind="dump")
    try:
        tensors = sorted(p.name for p in listed.parent.glob("*.npy") if not p.is_symlink())
        files = tuple(_digest(listed.parent, name, memo) for name in (listed.name, *tensors))
    except OSError as error:
        raise _unreadable(error, folder, kind="dump") from error
    return Source(root=listed.parent, files=files)


def unchanged(source: Source, memo: DigestMemo) -> bool:
    """Say whether every file of ``source`` still has the bytes that were surveyed."""
    try:
        return all(_digest(source.root, file.path, memo) == file for file in source.files)
    except OSError:
        return False


def is_private(source: Source) -> bool:
    """Say whether a file of ``source`` is one that not everybody may read."""
    return any((source.root / file.path).stat().st_mode & 0o004 == 0 for file in source.files)


def read_texts(folders: Iterable[Path]) -> dict[str, str]:
    """Return the ``*.yaml`` texts of target folders by path, those of later folders last.

    Raises ``UsageError``: ``no-such-targets``, ``target-too-large``, ``unreadable-targets``, and
    ``yaml-not-text`` with the position of what is not UTF-8.
    """
    texts: dict[str, str] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UsageError("there is no such folder", reason="no-such-targets", where=str(folder))
        for path in sorted(folder.glob("*.yaml")):
            texts[str(path)] = _target_text(path)
    return texts


def _target_text(path: Path) -> str:
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            raw = file.read(_TARGET_FILE_BYTES + 1)
    except OSError as error:
        raise _unreadable(error, path, kind="targets") from error
    if len(raw) > _TARGET_FILE_BYTES:
        raise UsageError(
            "a target file has at most 1 MiB", reason="target-too-large", where=str(path)
        )
    return decode(raw, str(path))


def _existing(path: Path, *, kind: str) -> Path:
    try:
        resolved = path.resolve(strict=True)
        mode = resolved.stat().st_mode
    except FileNotFoundError:
        raise UsageError(
            "there is no such file", reason=f"no-such-{kind}", where=str(path)
        ) from None
    except (OSError, ValueError, RuntimeError) as error:  # a loop of links, a NUL in the path
        raise _unreadable(error, path, kind=kind) from error
    if not stat.S_ISREG(mode):
        raise UsageError("this is not a file", reason=f"no-such-{kind}", where=str(path))
    return resolved


def _unreadable(error: Exception, path: Path, *, kind: str) -> UsageError:
    why = getattr(error, "strerror", None) or str(error)
    return UsageError(f"cannot read: {why}", reason=f"unreadable-{kind}", where=str(path))


def _references(model: Path, memo: DigestMemo) -> dict[str, int]:
    stamp = Stamp.of(model.stat())
    known = memo.recall("external-references", model, stamp)
    if isinstance(known, dict):
        return known
    references = external_references(model)
    memo.remember("external-references", model, stamp, references)
    return references


def _digest(root: Path, name: str, memo: DigestMemo) -> SourceFile:
    with io.FileIO(open_beneath(root, name), "rb") as file:
        sha256 = memo.sha256_of(root / name, file)
        return SourceFile(path=name, sha256=sha256, size_bytes=os.fstat(file.fileno()).st_size)
