"""Tell a Python environment that cannot even import its packages from a fault of ours."""

from __future__ import annotations

import errno
import os
import sys

from builder.errors import UsageError

_OWN = __name__.partition(".")[0]
_OUT_OF_MEMORY = os.strerror(errno.ENOMEM)


def import_failure(error: BaseException) -> UsageError | None:
    """Return the failure for what was raised while a module was imported; None for all else.

    Other packages leave such environments: they replace a shared dependency, and then any module
    may raise anything. An import that lacks memory says nothing about the environment.
    """
    module = _imported_module(error)
    if module is None or isinstance(error, MemoryError) or _OUT_OF_MEMORY in str(error):
        return None
    return broken_environment(
        f"{module.partition('.')[0]} cannot be imported",
        why=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}",
    )


def broken_environment(what: str, *, why: str | None = None) -> UsageError:
    """Return the failure of a Python environment that no build can come out of."""
    return UsageError(
        what,
        reason="broken-environment",
        where=sys.prefix,
        why=why,
        remedy="see what mends it: boardwright doctor",
    )


def _imported_module(error: BaseException) -> str | None:
    wanted = error.name if isinstance(error, ImportError) else None
    found, trace = wanted, error.__traceback__
    while trace is not None:
        # A module's body runs only while the module is being imported.
        if trace.tb_frame.f_code.co_name == "<module>":
            found = str(trace.tb_frame.f_globals.get("__name__", found))
        trace = trace.tb_next
    if _is_ours(found):
        found = wanted  # ours asked for what another package does not have, or is at fault itself
    return None if _is_ours(found) or found == "__main__" else found


def _is_ours(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] == _OWN
