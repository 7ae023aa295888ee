"""The whole catalogue of failures: one class per exit code, each a sentence a user can act on.

A failure says what went wrong, where, why, what state is left and which command comes next. The
same data is what ``--json`` prints and what crosses the border between the payload process and the
host. Only ``builder.cli`` turns a failure into an exit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self


class BoardwrightError(Exception):
    """A failure with a reason for programs and a sentence for people.

    ``reason`` is a stable slug (``unknown-target``); tests and scripts match it, never the prose.
    ``where`` is a position the user can open: ``file:line:column``, a node, a device, a path.
    ``remedy`` is the next command or the edit that mends it. ``state`` says what was left behind,
    where that is anything. ``details`` is JSON-able data for ``--json``.
    """

    exit_code: ClassVar[int]

    def __init__(
        self,
        what: str,
        *,
        reason: str,
        where: str | None = None,
        why: str | None = None,
        remedy: str | None = None,
        state: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.reason = reason
        self.where = where
        self.why = why
        self.remedy = remedy
        self.state = state
        self.details: dict[str, Any] = dict(details or {})

    def __str__(self) -> str:
        sentence = f"{self.where}: {self.what}" if self.where else self.what
        for part in (self.why, self.state, self.remedy):
            if part:
                sentence += f"; {part}"
        return sentence

    def to_json(self) -> dict[str, Any]:
        """Return the failure as the data ``--json`` prints."""
        return {
            "error": type(self).__name__,
            "exit_code": self.exit_code,
            "reason": self.reason,
            "what": self.what,
            "where": self.where,
            "why": self.why,
            "state": self.state,
            "remedy": self.remedy,
            "details": self.details,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BoardwrightError:
        """Rebuild a failure that ``to_json`` wrote, in its own class.

        An unknown class (a newer payload) becomes a ``BuildFailed`` rather than a crash.
        """
        kind = _CATALOGUE.get(str(data.get("error")), BuildFailed)
        return kind(
            str(data.get("what", "unknown failure")),
            reason=str(data.get("reason", "unknown")),
            where=data.get("where"),
            why=data.get("why"),
            remedy=data.get("remedy"),
            state=data.get("state"),
            details=data.get("details"),
        )

    def with_details(self, **details: Any) -> Self:
        """Add data for ``--json`` and return the same failure."""
        self.details.update(details)
        return self


class UsageError(BoardwrightError):
    """The command line, a configuration file or the machine's set-up must be changed."""

    exit_code = 2


class ModelRefused(BoardwrightError):
    """The ONNX model is malformed, hostile, or uses what cannot be planned statically."""

    exit_code = 3


class BuildFailed(BoardwrightError):
    """The compiler, the linker, the container engine or the disk failed while building."""

    exit_code = 4


class IntegrityError(BoardwrightError):
    """A hash does not match, or a bundle computes other numbers than ONNX Runtime."""

    exit_code = 5


class DeviceLost(BoardwrightError):
    """The link to a device died, or the device did."""

    exit_code = 6


class DeviceRefused(BoardwrightError):
    """The device cannot take the bundle: space, permission, architecture, C library, CPU."""

    exit_code = 7


class DeviceBusy(BoardwrightError):
    """Somebody else holds the device's lock."""

    exit_code = 8


class HostNotTrusted(BoardwrightError):
    """The device's host key is unknown or has changed."""

    exit_code = 9


class MeasurementInvalid(BoardwrightError):
    """The benchmark ran under conditions that make its numbers meaningless."""

    exit_code = 10


class PerformanceRegression(BoardwrightError):
    """The new build is slower than its baseline by more than was allowed."""

    exit_code = 11


class Interrupted(BoardwrightError):
    """The user stopped the work."""

    exit_code = 130


_CATALOGUE: dict[str, type[BoardwrightError]] = {
    kind.__name__: kind
    for kind in (
        UsageError,
        ModelRefused,
        BuildFailed,
        IntegrityError,
        DeviceLost,
        DeviceRefused,
        DeviceBusy,
        HostNotTrusted,
        MeasurementInvalid,
        PerformanceRegression,
        Interrupted,
    )
}
