from __future__ import annotations

from pathlib import Path

import pytest

from builder.model.target import Libc, Platform
from builder.package_files import package_root, templates_root
from builder.payload.licenses import license_texts
from builder.payload.tools import Zig

GLIBC = Libc(family="glibc", floor="2.17")
MUSL = Libc(family="musl", floor=None)
BIONIC = Libc(family="bionic", floor=None, api=24)


@pytest.mark.parametrize(
    ("libc", "owners"),
    [
        (GLIBC, {"boardwright", "zig"}),
        (MUSL, {"boardwright", "zig", "musl"}),
        (BIONIC, {"boardwright", "zig", "musl"}),
    ],
)
def test_each_text_is_the_license_of_something_linked_in(libc: Libc, owners: set[str]) -> None:
    platform = Platform(arch="aarch64", libc=libc)
    texts = license_texts(platform, templates_root(), Zig(cache=Path(), log=print))
    assert set(texts) == owners
    assert all("ermission" in text.read_text(encoding="utf-8") for text in texts.values())


def test_the_text_that_travels_with_the_templates_is_the_projects_license() -> None:
    travelling = templates_root() / "licenses" / "boardwright.txt"
    own = package_root().parent / "LICENSE"
    assert travelling.read_bytes() == own.read_bytes()
