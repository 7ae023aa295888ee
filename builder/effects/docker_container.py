"""One container: nothing but the payload's own volume to write to, no network, gone afterwards."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.effects.docker_engine import DockerEngine
from builder.effects.docker_failures import engine_calls
from builder.effects.docker_owner import LABEL, this_process
from builder.effects.docker_pack import Entry, pack
from builder.effects.docker_unpack import UnpackLimits, unpack
from builder.effects.docker_watch import interrupted, watch
from builder.toolchain.image import UID, WORK

if TYPE_CHECKING:
    import docker

_TRANSFER_TIMEOUT_S = 60.0
_TRANSFER_BYTES = 1 << 20
_ENVIRONMENT = {
    "HOME": "/tmp",
    "LC_ALL": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONPATH": f"{WORK}/package",
    "TMPDIR": f"{WORK}/scratch",
    "TZ": "UTC",
}

_ATTACHED = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}

Frame = tuple[bytes | None, bytes | None]
"""A piece of standard output, or one of standard error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a container may use. ``memory_bytes`` is three quarters of the engine's where None."""

    memory_bytes: int | None = None
    processes: int = 1024
    tmp_bytes: int = 256 << 20
    artifact: UnpackLimits = field(default_factory=UnpackLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How the container ended; ``out_of_memory`` where the kernel killed one of its processes."""

    status: int
    out_of_memory: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container that exists. Its methods raise ``BuildFailed`` where the engine fails them."""

    engine: DockerEngine
    identity: str
    limits: Limits
    cancel: threading.Event

    def send(self, entries: Iterator[Entry]) -> None:
        """Put files into the volume as they are read: none is held in memory."""
        with engine_calls("sending the job"), self.engine.client(_TRANSFER_TIMEOUT_S) as client:
            client.put_archive(self.identity, str(WORK), self._unless_stopped(pack(entries)))

    def run(self) -> Generator[Frame]:
        """Start the command and yield what it says until it ends.

        The container's standard input is this connection: when this process dies, it closes.
        """
        import docker.utils.socket as frames

        with engine_calls("running the payload"), self.engine.client() as client:
            connection = client.attach_socket(self.identity, params=_ATTACHED)
            client.start(self.identity)
            pieces = frames.frames_iter(connection, tty=False)
            said = (frames.demux_adaptor(*piece) for piece in pieces)
            yield from watch(said, cancel=self.cancel, going_on=self._is_running)

    def ending(self) -> Ending:
        """Wait for the end that ``run`` has seen, and return it."""
        with engine_calls("waiting for the payload"), self.engine.client() as client:
            client.wait(self.identity)
        state = self._state()
        return Ending(status=int(state["ExitCode"]), out_of_memory=bool(state.get("OOMKilled")))

    def fetch(self, name: str, into: Path) -> None:
        """Take over the folder ``name`` of the volume; raises ``IntegrityError`` as ``unpack``."""
        with (
            engine_calls("fetching the artifact"),
            self.engine.client(_TRANSFER_TIMEOUT_S) as client,
        ):
            pieces, _ = client.get_archive(self.identity, f"{WORK}/{name}", _TRANSFER_BYTES)
            arriving = watch(pieces, cancel=self.cancel, going_on=self.engine.is_up)
            unpack(arriving, into, root=name, limits=self.limits.artifact)

    def _unless_stopped(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            if self.cancel.is_set():
                raise interrupted()
            yield piece

    def _is_running(self) -> bool:
        return bool(self._state()["Running"])

    def _state(self) -> Mapping[str, Any]:
        with engine_calls("asking after the payload"), self.engine.client() as client:
            state: Mapping[str, Any] = client.inspect_container(self.identity)["State"]
        return state


@contextmanager
def container(
    engine: DockerEngine,
    image: str,
    command: Sequence[str],
    *,
    limits: Limits,
    cancel: threading.Event,
) -> Iterator[Container]:
    """Create a container that will run ``command``; remove it, and its volume, on every way out."""
    with engine_calls("creating a container"), engine.client(_TRANSFER_TIMEOUT_S) as client:
        identity: str = client.create_container(
            image,
            list(command),
            user=f"{UID}:{UID}",
            working_dir=str(WORK),
            environment=_ENVIRONMENT,
            labels={LABEL: this_process().to_label()},
            volumes=[str(WORK)],
            stdin_open=True,
            host_config=_confinement(client, limits),
        )["Id"]
    try:
        yield Container(engine=engine, identity=identity, limits=limits, cancel=cancel)
    finally:
        engine.remove(identity)


def _confinement(client: docker.APIClient, limits: Limits) -> dict[str, Any]:
    memory_bytes = limits.memory_bytes or int(client.info()["MemTotal"]) * 3 // 4
    confinement: dict[str, Any] = client.create_host_config(
        network_mode="none",
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        mem_limit=memory_bytes,
        memswap_limit=memory_bytes,
        pids_limit=limits.processes,
        tmpfs={"/tmp": f"rw,nosuid,nodev,noexec,size={limits.tmp_bytes}"},
        init=True,
        # What it says is read as it says it; a second copy could fill the engine's disk.
        log_config={"Type": "none"},
    )
    return confinement
