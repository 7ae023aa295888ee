"""From a device to a board that can be asked things."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from builder.boards.board import Board
from builder.cli.environment import Environment
from builder.cli.ssh_settings import read_ssh_settings
from builder.effects.adb.settings import read_adb_settings
from builder.effects.connect import connect
from builder.model.device import Device, link_of
from builder.model.target import Target


@contextmanager
def reached(
    device: Device,
    target: Target,
    environment: Environment,
    cancel: threading.Event,
    *,
    accept_new_host_key: bool = False,
) -> Iterator[Board]:
    """Hold a connection to a device's board. Raises as ``connect`` does, on entering."""
    settings = read_ssh_settings(environment.variables, accept_new_host_key=accept_new_host_key)
    adb = read_adb_settings(environment.variables, environment.search_path)
    with connect(link_of(device.host), settings, adb) as transport:
        yield Board(
            name=device.name,
            transport=transport,
            root=device.root or target.device.run_dir,
            nonce=lambda: secrets.token_hex(8),
            cancel=cancel,
            allow_exposed=device.allow_exposed,
        )
