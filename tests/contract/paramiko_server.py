"""paramiko's own SSH server in a thread, with this machine's commands and files behind it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED
from paramiko.sftp import SFTP_OK
from typing_extensions import Buffer

from tests.contract.ssh_home import Home, new_key


@contextmanager
def paramiko_server(folder: Path, home: Home) -> Iterator[tuple[int, paramiko.PKey]]:
    """Serve commands and files of this machine from a thread; yield the port and the host key."""
    folder.mkdir(parents=True, exist_ok=True)
    key = new_key(folder / "host_key")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ended = threading.Event()
        serving: list[paramiko.Transport] = []

        def accept() -> None:
            while not ended.is_set():
                with suppress(OSError):
                    end, _ = listening.accept()
                    serving.append(_serve(end, key, home.key))

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1], key
        finally:
            ended.set()
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for transport in serving:
                transport.close()


def _serve(end: socket.socket, key: paramiko.PKey, user_key: paramiko.PKey) -> paramiko.Transport:
    transport = paramiko.Transport(end)
    transport.add_server_key(key)
    transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Files)
    transport.start_server(event=threading.Event(), server=_Server(user_key))
    return transport


class _Server(paramiko.ServerInterface):
    def __init__(self, user_key: paramiko.PKey) -> None:
        self._user_key = user_key

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        accepted = key.asbytes() == self._user_key.asbytes()
        return AUTH_SUCCESSFUL if accepted else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=_execute, args=(channel, command), daemon=True).start()
        return True


def _execute(channel: paramiko.Channel, command: bytes) -> None:
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        ("/bin/sh", "-c", os.fsdecode(command)),
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        start_new_session=True,
    )
    assert process.stdin and process.stdout and process.stderr
    pumps = [
        threading.Thread(target=_pump, args=(process.stdout.fileno(), channel.sendall)),
        threading.Thread(target=_pump, args=(process.stderr.fileno(), channel.sendall_stderr)),
    ]
    for pump in pumps:
        pump.start()
    feeder = threading.Thread(target=_feed, args=(channel, process))
    feeder.start()
    for pump in pumps:
        pump.join()
    status = process.wait()
    with suppress(OSError, EOFError, paramiko.SSHException):
        channel.send_exit_status(status if status >= 0 else 128 - status)
    channel.close()
    feeder.join()
    process.stdout.close()
    process.stderr.close()


def _pump(descriptor: int, send: Callable[[bytes], object]) -> None:
    with suppress(OSError, EOFError):
        while piece := os.read(descriptor, 1 << 15):
            send(piece)


def _feed(channel: paramiko.Channel, process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with suppress(OSError):
        while piece := channel.recv(1 << 15):
            process.stdin.write(piece)
            process.stdin.flush()
    with suppress(OSError):
        process.stdin.close()
    # The end of input is not the end of the channel.
    while not channel.closed and process.poll() is None:
        time.sleep(0.01)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


class _Handle(paramiko.SFTPHandle):
    """An open file."""

    def __init__(self, descriptor: int, flags: int) -> None:
        super().__init__(flags)
        self._descriptor = descriptor

    def write(self, offset: int, data: Buffer) -> int:
        left = memoryview(data)
        try:
            while left:
                written = os.pwrite(self._descriptor, left, offset)
                offset, left = offset + written, left[written:]
        except OSError as error:
            return _code(error)
        return SFTP_OK

    def chattr(self, attr: paramiko.SFTPAttributes) -> int:
        if attr.st_size is not None:
            os.ftruncate(self._descriptor, attr.st_size)
        if attr.st_mode is not None:
            os.fchmod(self._descriptor, attr.st_mode)
        return SFTP_OK

    def close(self) -> None:
        os.close(self._descriptor)


class _Files(paramiko.SFTPServerInterface):
    """This machine's files."""

    def lstat(self, path: str) -> paramiko.SFTPAttributes | int:
        try:
            return paramiko.SFTPAttributes.from_stat(os.lstat(path))
        except OSError as error:
            return _code(error)

    def open(
        self, path: str, flags: int, attr: paramiko.SFTPAttributes
    ) -> paramiko.SFTPHandle | int:
        try:
            return _Handle(os.open(path, flags, 0o666), flags)
        except OSError as error:
            return _code(error)


def _code(error: OSError) -> int:
    return paramiko.SFTPServer.convert_errno(error.errno or 0)
