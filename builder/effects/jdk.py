"""Find out which Java compiler a local build would use, without starting it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

_VERSION = re.compile(r'^JAVA_VERSION="([^"]+)"$', re.MULTILINE)


def javac_version(search_path: str) -> str:
    """Return the version of the JDK whose ``javac`` is found first; "none" where there is none."""
    program = shutil.which("javac", path=search_path)
    if program is None:
        return "none"
    try:
        # A JDK says what it is in a file beside its bin folder.
        text = (Path(program).resolve().parents[1] / "release").read_text(encoding="utf-8")
    except OSError:
        return "unknown"
    found = _VERSION.search(text)
    return found[1] if found else "unknown"
