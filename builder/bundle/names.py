"""File names for tensors, whatever a model calls them.

A tensor's name is free text: it may be empty, a path, shell code, a kilobyte of Chinese. Its file
stem is ASCII that every disk, shell and archive takes for a plain name, and people still recognise.
"""

from __future__ import annotations

import hashlib
import re
from itertools import count

LONGEST_STEM = 100
_HASH_LENGTH = 12
_UNSAFE = re.compile(rb"[^A-Za-z0-9_.-]|\A[.-]")
# Windows opens a device for these, with or without a suffix.
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def file_stem(name: str, taken: set[str]) -> str:
    """Return the .npy stem of the tensor ``name``, and add it to ``taken`` in lower case.

    At most ``LONGEST_STEM`` of ``[A-Za-z0-9_.%-]``, starting with no dot or dash. Other bytes of
    the name's UTF-8 are percent-encoded. A stem that was cut, or that would meet one of ``taken``
    on a disk which ignores case, ends in a hash of the name.
    """
    stem = _encoded(name)
    if len(stem) > LONGEST_STEM or stem.lower() in taken:
        stem = next(s for n in count() if (s := _hashed(stem, name, n)).lower() not in taken)
    taken.add(stem.lower())
    return stem


def _encoded(name: str) -> str:
    raw = name.encode("utf-8", "surrogatepass")
    stem = _UNSAFE.sub(lambda match: b"%%%02X" % match[0][0], raw).decode("ascii") or "_"
    return f"_{stem}" if _DEVICE.fullmatch(stem) else stem


def _hashed(stem: str, name: str, attempt: int) -> str:
    """Return ``stem`` cut to leave room for a hash; no percent code is cut in two."""
    salted = f"{attempt}\0{name}".encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(salted).hexdigest()[:_HASH_LENGTH]
    room = stem[: LONGEST_STEM - _HASH_LENGTH - 1]
    return re.sub(r"%[0-9A-F]?\Z", "", room) + f"-{digest}"
