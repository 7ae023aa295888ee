"""An engine behind ``ssh://``, brought to a socket of this machine.

The SDK has two ways to such an engine. Its paramiko knows no jump hosts, and its pipe to the ssh
program cannot be closed under a reader, so a stream could neither be stopped nor found dead. Here
each connection to a private socket becomes the input and output of one ``ssh``, which is what the
docker command runs too.
"""

from __future__ import annotations

import atexit
import shlex
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit


class SshBridge:
    """A socket that leads to a remote engine for as long as this process lives.

    The user's own ssh configuration decides how to get there; it never asks for a password.
    """

    def __init__(self, url: str) -> None:
        self._argv = ssh_command(url)
        folder = Path(tempfile.mkdtemp(prefix="boardwright-ssh-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        self._complaints = folder / "complaints"
        self.url = f"unix://{folder / 'engine.sock'}"
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / "engine.sock"))
        self._listening.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def last_words(self) -> str | None:
        """Return the last line that ssh wrote to standard error, if any."""
        try:
            lines = self._complaints.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return None
        return lines[-1] if lines else None

    def _serve(self) -> None:
        while True:
            near, _ = self._listening.accept()
            # ssh holds the only other end: when either side goes, the other one reads its end.
            with near, self._complaints.open("ab") as complaints:
                try:
                    process = self._connect(near.fileno(), complaints)
                except OSError as error:
                    complaints.write(f"{error}\n".encode())
                    continue
            threading.Thread(target=process.wait, daemon=True).start()

    def _connect(self, end: int, complaints: IO[bytes]) -> subprocess.Popen[bytes]:
        # In a session of its own, so that Ctrl-C ends it with the build and not before.
        return subprocess.Popen(
            self._argv, stdin=end, stdout=end, stderr=complaints, start_new_session=True
        )


def ssh_command(url: str) -> tuple[str, ...]:
    """Return the command that is a pipe to the engine at ``ssh://[user@]host[:port][/socket]``."""
    parts = urlsplit(url)
    assert parts.hostname, url
    user = ("-l", parts.username) if parts.username else ()
    port = ("-p", str(parts.port)) if parts.port else ()
    engine = ("--host", f"unix://{parts.path}") if parts.path.strip("/") else ()
    remote = shlex.join(("docker", *engine, "system", "dial-stdio"))
    return ("ssh", "-T", "-o", "BatchMode=yes", *user, *port, "--", parts.hostname, remote)
