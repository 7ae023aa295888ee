from __future__ import annotations

import io
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import UsageError
from builder.model.artifact import Verification
from builder.report.json_report import write_json
from builder.report.wording import byte_size, failure_lines, max_error, safe


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (626_688, "612 KiB"),
        (2_500_000, "2.4 MiB"),
        (3 * 1024**3, "3.0 GiB"),
        (5000 * 1024**3, "5000.0 GiB"),
    ],
)
def test_a_size_is_in_the_largest_unit(size_bytes: int, text: str) -> None:
    assert byte_size(size_bytes) == text


@pytest.mark.parametrize(
    ("error", "text"), [(None, "-"), (0.0, "0.0e+00"), (1.21e-6, "1.2e-06"), (math.nan, "NaN")]
)
def test_an_error_is_short(error: float | None, text: str) -> None:
    verification = Verification(ok=True, where="qemu", max_abs_error=error, outputs=())
    assert max_error(verification) == text


@given(st.text())
def test_safe_text_cannot_steer_a_terminal(text: str) -> None:
    assert safe(text).isprintable()


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred", "?[31mred"),
        ("a\nb\r\nc\td", "a b  c d"),
        ("\u202etxt.exe", "?txt.exe"),
        ("\ud800", "?"),
        ("größe 形状", "größe 形状"),
        ("[bold]", "[bold]"),
    ],
)
def test_hostile_text_is_shown_harmless(hostile: str, shown: str) -> None:
    assert safe(hostile) == shown


def test_a_failure_is_one_line_and_the_next_command() -> None:
    failure = UsageError(
        "unknown arch 'mips'",
        reason="not-allowed",
        where="pi.yaml:7:9",
        why="one of:\na, b",
        state="nothing was written",
        remedy="edit it",
    )
    assert failure_lines(failure) == (
        "error: pi.yaml:7:9: unknown arch 'mips'; one of: a, b; nothing was written",
        "  edit it",
    )


def test_a_failure_without_remedy_is_one_line() -> None:
    assert failure_lines(UsageError("no", reason="no")) == ("error: no",)


COMMANDS = (
    "::warning::x",
    "  ::set-output name=a::b",
    "\t::add-mask::x",
    "\x1b[0m::stop-commands::x",
    "a ##[warning]x",
    "##vso[task.setvariable]x",
    "##teamcity[message text='x']",
    "section_start:1:a\r\x1b[0Kx",
)


@pytest.mark.parametrize("text", COMMANDS)
def test_no_ci_service_obeys_safe_text(text: str) -> None:
    shown = safe(text)
    assert not shown.lstrip().startswith("::")
    assert not any(mark in shown for mark in ("##[", "##vso[", "##teamcity[", "\r", "\x1b"))


@given(st.text(alphabet="#:[ vso\n\x0b"))
def test_no_ci_service_obeys_any(text: str) -> None:
    shown = safe(text)
    assert not shown.lstrip().startswith("::") and "##[" not in shown


@pytest.mark.parametrize("text", COMMANDS)
def test_no_line_of_a_document_is_a_command(text: str) -> None:
    stream = io.StringIO()
    write_json(stream, {text: [text, "\\" + text, f"#{text}"]})
    written = stream.getvalue()
    assert json.loads(written) == {text: [text, "\\" + text, f"#{text}"]}
    assert "##" not in written
    assert not any(line.lstrip().startswith("::") for line in written.splitlines())
