"""A zip archive whose bytes depend on nothing but its entries: for AARs and their classes.

Entries are sorted; times, owners and the disk's permissions are replaced by constants. The deflate
stream is classic zlib's at its default level, as in ``builder.bundle.archive``.
"""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

Entries = Mapping[str, Path | bytes]
"""What an archive holds by path in it: files of the disk, or content."""

_EPOCH = (1980, 1, 1, 0, 0, 0)  # zip can say nothing older
_UNIX = 3
_PLAIN_FILE = 0o100644
_ZIP64_BYTES = 1 << 31


def pack_zip(entries: Entries, archive: Path, stored: Collection[str] = ()) -> None:
    """Write ``entries`` as the zip file ``archive``; those in ``stored`` are not compressed.

    Streams: memory does not grow with the weights. Raises ``OSError`` as the disk does.
    """
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(entries):
            info = zipfile.ZipInfo(path, date_time=_EPOCH)
            info.create_system = _UNIX
            info.external_attr = _PLAIN_FILE << 16
            info.compress_type = zipfile.ZIP_STORED if path in stored else zipfile.ZIP_DEFLATED
            _add(file, info, entries[path])


def _add(file: zipfile.ZipFile, info: zipfile.ZipInfo, content: Path | bytes) -> None:
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as source:
        size = source.seek(0, io.SEEK_END)
        source.seek(0)
        with file.open(info, "w", force_zip64=size >= _ZIP64_BYTES) as sink:
            shutil.copyfileobj(source, sink)
