from __future__ import annotations

import errno
import json

import click
import pytest

from builder.cli.failure import as_failure, tell
from builder.errors import BoardwrightError, ModelRefused


@pytest.mark.parametrize(
    ("error", "exit_code", "reason"),
    [
        (ModelRefused("no", reason="not-onnx"), 3, "not-onnx"),
        (click.UsageError("no such option"), 2, "usage"),
        (click.BadParameter("bad"), 2, "usage"),
        (click.Abort(), 130, "interrupted"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left on device"), 4, "disk-full"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 4, "disk-failed"),
        (ZeroDivisionError("boom"), 4, "internal"),
        (RecursionError(), 4, "internal"),
    ],
)
def test_every_exception_has_an_exit_code(
    error: BaseException, exit_code: int, reason: str
) -> None:
    failure = as_failure(error)
    assert (failure.exit_code, failure.reason) == (exit_code, reason)


def test_a_failure_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    code = tell(as_failure(ZeroDivisionError("boom")), as_json=False, debug=False)
    printed = capsys.readouterr()
    assert code == 4
    assert printed.out == ""
    assert printed.err.startswith("error: internal error: ZeroDivisionError: boom\n")
    assert "Traceback" not in printed.err


def test_a_failure_as_json_is_all_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    code = tell(ModelRefused("no", reason="not-onnx"), as_json=True, debug=False)
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert code == 3
    assert (told["status"], told["error"]["reason"]) == ("failed", "not-onnx")
    assert BoardwrightError.from_json(told["error"]).reason == "not-onnx"
    assert printed.err == ""


def test_debugging_shows_where_it_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        _ = 1 / 0
    except ZeroDivisionError as error:
        tell(as_failure(error), as_json=False, debug=True)
    assert "ZeroDivisionError: division by zero" in capsys.readouterr().err
