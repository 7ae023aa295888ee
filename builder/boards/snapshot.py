"""Ask a board for its conditions, alone or before and after a command that runs in between."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from builder.bench.conditions import TEXT_LIMIT, Conditions, parse_conditions
from builder.boards.commands import called, silence
from builder.boards.scripts import script_text
from builder.errors import MeasurementInvalid
from builder.ports import Transport

_SNAPSHOT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a board says it is: its own words, made printable, empty where it does not say."""

    machine: str
    kernel: str
    cpu: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A command that ran on a board: its exit status and output, and the board around it."""

    status: int
    stdout: bytes
    stderr: bytes
    before: Conditions
    after: Conditions


def survey(
    transport: Transport, *, token: str, sysfs_root: str, where: str
) -> tuple[Identity, Conditions]:
    """Return what the board is and the conditions it is in. Raises as ``observe``."""
    with called(f"{where}: conditions"):
        done = transport.run(_asking(token, sysfs_root), limit_bytes=2 * _SNAPSHOT_BYTES)
    parts = _parts(done.stdout, token)
    text = parts.get("before", "")
    if "end" not in parts:
        raise _unreadable("the snapshot is not whole")
    return _identity(text), parse_conditions(text)


def observe(
    transport: Transport,
    command: Sequence[str],
    *,
    token: str,
    where: str,
    cancel: threading.Event,
    sysfs_root: str = "",
    limit_bytes: int = 8 << 20,
    timeout_s: float = 900.0,
) -> Observed:
    """Run ``command`` on the board between two snapshots, all in one round trip.

    ``token`` marks the parts of the answer: 16 hexadecimal digits, new each time, that nothing on
    the board can guess. ``where`` is what failures call the command, and ``cancel`` ends it.
    ``sysfs_root`` stands before ``/sys`` and ``/proc`` there. Raises ``MeasurementInvalid``
    ``conditions-unreadable`` for an answer without its marks, ``DeviceLost`` and ``Interrupted``.
    """
    with called(where), silence(cancel, where) as stdin:
        done = transport.run(
            _asking(token, sysfs_root, *command),
            stdin=stdin,
            limit_bytes=limit_bytes + 2 * _SNAPSHOT_BYTES,
            timeout_s=timeout_s,
        )
    parts = _parts(done.stdout, token)
    status = next((key for key in parts if key.startswith("status ")), None)
    if status is None or "end" not in parts:
        raise _unreadable(_printable(done.stderr) or "the answer is not whole")
    return Observed(
        status=int(status.removeprefix("status ")),
        stdout=parts.get("output", "").encode("utf-8", "surrogateescape"),
        stderr=done.stderr,
        before=parse_conditions(parts.get("before", "")),
        after=parse_conditions(parts.get("after", "")),
    )


def _asking(token: str, sysfs_root: str, *command: str) -> tuple[str, ...]:
    return ("sh", "-c", script_text("conditions"), "conditions", token, sysfs_root, *command)


def _parts(output: bytes, token: str) -> dict[str, str]:
    """Return the text under each mark. What stands before the first is a login shell's chatter."""
    text = output.decode("utf-8", "surrogateescape")
    marks = re.split(rf"(?m)^={re.escape(token)} (before|output|status \d{{1,3}}|after|end)$", text)
    return dict(zip(marks[1::2], marks[2::2], strict=True))


def _identity(text: str) -> Identity:
    facts = dict(line.partition(" ")[::2] for line in text.splitlines())
    words = {name: _printable(facts.get(name, "")) for name in ("machine", "kernel", "cpu")}
    return Identity(machine=words["machine"], kernel=words["kernel"], cpu=words["cpu"])


def _printable(text: str | bytes) -> str:
    plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return "".join(c if c.isprintable() else "?" for c in plain.strip())[:TEXT_LIMIT]


def _unreadable(why: str) -> MeasurementInvalid:
    return MeasurementInvalid(
        "the board did not state its conditions",
        reason="conditions-unreadable",
        why=why,
        remedy="it needs a POSIX shell as sh; try: boardwright devices probe NAME",
    )
