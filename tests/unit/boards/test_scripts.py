"""The scripts that boards run, as they travel."""

from __future__ import annotations

import shlex

import pytest

from builder.boards.board import script_text
from builder.boards.snapshot import device_script
from builder.package_files import templates_root

ALONE = ("conditions", "governor")
SHARING = sorted(
    {file.stem for file in (templates_root() / "device").glob("*.sh")} - {*ALONE, "common"}
)
DROPBEAR_BYTES = 9000
ARGUMENT_BYTES = 1500


@pytest.mark.parametrize("name", SHARING)
def test_a_script_fits_into_a_command_of_dropbear(name: str) -> None:
    assert len(shlex.quote(script_text(name))) <= DROPBEAR_BYTES - ARGUMENT_BYTES


@pytest.mark.parametrize("name", ALONE)
def test_a_script_of_its_own_fits_too(name: str) -> None:
    assert len(shlex.quote(device_script(name))) <= DROPBEAR_BYTES - ARGUMENT_BYTES


def test_what_travels_holds_no_comment_and_no_indentation() -> None:
    lines = script_text("probe").splitlines()
    assert not [line for line in lines if not line or line[0] in "# \t"]
