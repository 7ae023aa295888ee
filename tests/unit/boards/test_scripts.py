"""The scripts that boards run, as they travel."""

from __future__ import annotations

import shlex

import pytest

from builder.boards.scripts import script_text
from builder.package_files import templates_root

SHARED = {"common", "hardware"}
SCRIPTS = sorted({file.stem for file in (templates_root() / "device").glob("*.sh")} - SHARED)
DROPBEAR_BYTES = 9000
ARGUMENT_BYTES = 1500


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_fits_into_a_command_of_dropbear(name: str) -> None:
    assert len(shlex.quote(script_text(name))) <= DROPBEAR_BYTES - ARGUMENT_BYTES


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_travels_holds_no_comment_and_no_indentation(name: str) -> None:
    lines = script_text(name).splitlines()
    assert not [line for line in lines if not line or line[0] in "# \t"]


def test_what_two_scripts_tell_they_tell_alike() -> None:
    for function in ("throttle_word", "power_mode", "device_clocks"):
        for name in ("probe", "conditions"):
            assert script_text(name).count(function) == 2
