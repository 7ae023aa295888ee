"""A ProxyCommand: a process whose input and output are the link."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

_GRACE_S = 2.0


@contextmanager
def proxied(command: str, variables: Mapping[str, str]) -> Iterator[socket.socket]:
    """Run ``command`` in a shell and hold the socket that is its input and output.

    ``variables`` is its environment. What it still does after the socket is closed is cut short.
    """
    near, far = socket.socketpair()
    with near:
        with far:
            process = subprocess.Popen(
                ("/bin/sh", "-c", f"exec {command}"),
                stdin=far.fileno(),
                stdout=far.fileno(),
                stderr=subprocess.DEVNULL,
                env=dict(variables),
                start_new_session=True,
            )
        try:
            yield near
        finally:
            near.close()
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_S)
        return
    process.kill()
    process.wait()
