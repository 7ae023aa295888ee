"""A Docker engine, local or remote: connections to it, and what killed builds left on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from builder.effects.docker_endpoint import Endpoint, TlsFiles, resolve_endpoint
from builder.effects.docker_failures import engine_calls, root_cause
from builder.effects.docker_owner import LABEL, Labelled, Owner, abandoned, this_process
from builder.effects.docker_ssh import SshBridge
from builder.errors import BuildFailed, UsageError

if TYPE_CHECKING:
    import docker


_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerEngine:
    """An engine that answered when ``connect`` made this, and the version of the API it speaks.

    One that leaves a question without an answer for ``timeout_s`` seconds counts as lost.
    """

    endpoint: Endpoint
    version: str
    timeout_s: float = _TIMEOUT_S

    @contextmanager
    def client(self, timeout_s: float | None = None) -> Iterator[docker.APIClient]:
        """Give a client of the caller's own: the SDK's are not safe between threads.

        On leaving, every connection it made is closed, also under a thread that still reads one:
        that is what makes the engine stop a build nobody waits for.
        """
        client = _client(self.endpoint, self.version, timeout_s or self.timeout_s)
        responses: list[Any] = []
        client.hooks["response"].append(lambda response, **_: responses.append(response))
        try:
            yield client
        finally:
            for response in responses:
                with suppress(RuntimeError, ValueError, OSError):  # it has ended by itself
                    response.raw.shutdown()
                response.close()
            client.close()

    def is_up(self) -> bool:
        """Return True. Raises ``BuildFailed`` ``engine-lost`` where the engine does not answer."""
        with engine_calls("waiting for the engine"), self.client() as client:
            return bool(client.ping())

    def sweep(self, is_abandoned: Callable[[Labelled], bool] | None = None) -> int:
        """Remove the containers that nobody waits for any more; return how many were removed."""
        me, now_s = this_process(), time.time()
        doomed = is_abandoned or (lambda found: abandoned(found, me=me, now_s=now_s))
        with engine_calls("looking for containers left behind"), self.client() as client:
            found = client.containers(all=True, filters={"label": LABEL})
        return sum(self.remove(item.container) for item in map(_labelled, found) if doomed(item))

    def remove(self, container: str) -> bool:
        """Kill and remove a container with its volume; say whether that could be done."""
        try:
            with engine_calls("removing a container"), self.client() as client:
                client.remove_container(container, v=True, force=True)
        except BuildFailed:
            return False  # it is gone already, or the engine is; then the next build sweeps
        return True


def connect(environ: Mapping[str, str]) -> DockerEngine:
    """Return the engine that the environment and Docker's configuration name.

    Raises ``UsageError`` ``no-docker-engine`` where none answers, and as ``resolve_endpoint`` does.
    """
    import docker.errors
    import requests

    named = resolve_endpoint(environ)
    bridge = SshBridge(named.url) if named.url.startswith("ssh://") else None
    reached = Endpoint(url=bridge.url) if bridge else named
    try:
        with _client(reached, "auto", _TIMEOUT_S) as client:
            version: str = client.api_version
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        why = bridge and bridge.last_words()
        raise _no_engine(named.url, why or root_cause(error)) from error
    return DockerEngine(endpoint=reached, version=version)


def _client(endpoint: Endpoint, version: str, timeout_s: float) -> docker.APIClient:
    import docker

    return docker.APIClient(
        base_url=endpoint.url,
        version=version,
        timeout=timeout_s,
        tls=_tls(endpoint.tls) if endpoint.tls else False,
    )


def _tls(files: TlsFiles) -> docker.tls.TLSConfig:
    import docker.tls

    both = files.certificate and files.private_key
    return docker.tls.TLSConfig(
        ca_cert=str(files.ca) if files.ca else None,
        client_cert=(str(files.certificate), str(files.private_key)) if both else None,
        verify=files.verify,
    )


def _no_engine(url: str, why: str) -> UsageError:
    start = "start one (as root: systemctl start docker), or build with --toolchain local"
    join = "add the user to the docker group (usermod -aG docker NAME), or use --toolchain local"
    is_forbidden = url.startswith("unix://") and "Permission denied" in why
    return UsageError(
        "this user may not use the Docker engine" if is_forbidden else "no Docker engine answers",
        reason="no-docker-engine",
        where=url,
        why=why,
        remedy=join if is_forbidden else start,
    )


def _labelled(found: Mapping[str, Any]) -> Labelled:
    return Labelled(
        container=str(found["Id"]),
        owner=Owner.from_label(found["Labels"][LABEL]),
        created_s=float(found["Created"]),
    )
