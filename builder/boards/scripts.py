"""The scripts of ``templates/device``, as they travel to boards."""

from __future__ import annotations

from functools import cache

from builder.package_files import templates_root

_COMMON = "common"
_HARDWARE = "hardware"
_PARTS = {
    "conditions": (_HARDWARE, "conditions"),
    "governor": ("governor",),
    "probe": (_COMMON, _HARDWARE, "probe"),
}


@cache
def script_text(name: str) -> str:
    """Return a script with what it shares with others in front, for ``sh -c``.

    Without comments and indentation: dropbear takes commands of at most 9,000 bytes.
    """
    folder = templates_root() / "device"
    parts = _PARTS.get(name, (_COMMON, name))
    texts = ((folder / f"{part}.sh").read_text(encoding="ascii") for part in parts)
    lines = (line.strip() for text in texts for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("#"))
