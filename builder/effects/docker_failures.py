"""What the engine's failures mean to a user."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager

from builder.errors import BuildFailed

FIND_THE_ENGINE = "look at the engine (docker info), then run the build again"


@contextmanager
def engine_calls(doing: str) -> Iterator[None]:
    """Turn whatever the SDK raises inside into ``BuildFailed``.

    ``engine-refused`` where the engine said no, ``engine-disk-full`` where it had no room,
    ``engine-lost`` where it did not say anything any more.
    """
    import docker.errors
    import docker.utils.socket
    import requests
    import urllib3

    try:
        yield
    except docker.errors.APIError as error:
        raise refused(doing, str(error.explanation or error)) from error
    except (
        docker.errors.DockerException,
        docker.utils.socket.SocketError,
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        http.client.HTTPException,
        ConnectionError,
        TimeoutError,
    ) as error:
        raise engine_lost(doing, root_cause(error)) from error


def refused(doing: str, said: str) -> BuildFailed:
    """Return the failure for an engine that answered, and not with what was asked for."""
    if "no space left on device" in said.lower():
        return BuildFailed(
            f"the Docker engine's disk is full while {doing}",
            reason="engine-disk-full",
            why=said,
            remedy="free space on the engine: docker system prune",
        )
    return BuildFailed(
        f"the Docker engine refused while {doing}",
        reason="engine-refused",
        why=said,
        remedy=FIND_THE_ENGINE,
    )


def engine_lost(doing: str, why: str) -> BuildFailed:
    """Return the failure for an engine that went away."""
    return BuildFailed(
        f"the Docker engine went away while {doing}",
        reason="engine-lost",
        why=why or None,
        state="nothing was kept; a container left behind is removed by the next build",
        remedy=FIND_THE_ENGINE,
    )


def root_cause(error: BaseException) -> str:
    """Return what the system said, without the wrapping of the libraries above it."""
    while error.__context__ is not None:
        error = error.__context__
    return (isinstance(error, OSError) and error.strerror) or str(error)
