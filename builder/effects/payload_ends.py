"""What it means that the payload ended without a word."""

from __future__ import annotations

import signal
from collections.abc import Iterable

from builder.errors import BoardwrightError, BuildFailed, ModelRefused
from builder.steps import Prepare, Step

_CRASHES = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGXCPU}
)
_NO_MEMORY_LEFT = 127  # how glibc exits where not even a thread's own variables fit


def died(step: Step, status: int, tail: Iterable[str]) -> BoardwrightError:
    """Return the failure of a payload that gave no reason; ``status`` is negative for a signal.

    Preparing is where a model meets the libraries that read it: one that crashes them is refused.
    """
    lines = list(tail)
    crashed = isinstance(step, Prepare) and (-status in _CRASHES or status == _NO_MEMORY_LEFT)
    kind: type[BoardwrightError] = ModelRefused if crashed else BuildFailed
    how = f"died of {_signal_name(-status)}" if status < 0 else f"ended with status {status}"
    return kind(
        f"the {type(step).__name__} process {how} and gave no reason",
        reason="cpu-limit" if -status == signal.SIGXCPU else "payload-died",
        why=lines[-1] if lines else None,
        state="nothing was kept of this step",
        remedy=_remedy(step, -status),
        details={"status": status, "log": lines},
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _remedy(step: Step, number: int) -> str:
    if number == signal.SIGXCPU:
        return "it took more CPU time than a model of its size may: see what it computes"
    if number == signal.SIGKILL:
        return "the system may have run out of memory: try fewer at once with --jobs 1"
    if number in _CRASHES and isinstance(step, Prepare):
        return "the model may be what crashes ONNX Runtime: try to load it there by itself"
    return "see the lines above, and run the same command again"
