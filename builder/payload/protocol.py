"""How the payload speaks: JSON lines on the real standard output, which nothing else may touch."""

from __future__ import annotations

import json
import os
import signal
import threading
from typing import Any

from builder.errors import BoardwrightError


class Speaker:
    """Writes events. Taking it sends everything that libraries print to standard error instead."""

    def __init__(self) -> None:
        self._stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def log(self, line: str) -> None:
        self._say({"event": "log", "line": line})

    def failed(self, failure: BoardwrightError) -> None:
        self._say({"event": "failed", "failure": failure.to_json()})

    def done(self) -> None:
        self._say({"event": "done"})

    def _say(self, event: dict[str, Any]) -> None:
        with self._lock:
            self._stream.write(json.dumps(event) + "\n")
            self._stream.flush()


def die_with_parent() -> None:
    """End the whole process group when standard input closes: so a killed client is felt."""

    def watch() -> None:
        while os.read(0, 4096):  # sys.stdin would hold a lock that the interpreter wants at exit
            pass
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
