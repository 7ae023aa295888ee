"""Which Docker engine is meant, and whether it answers: no SDK, a few milliseconds.

Follows the docker command's own order: ``DOCKER_HOST``, ``DOCKER_CONTEXT``, the ``currentContext``
of ``config.json``, the local socket.
"""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from builder.errors import UsageError

LOCAL = "unix:///var/run/docker.sock"
_PORT, _TLS_PORT = 2375, 2376
_PROBE_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files of a TLS connection. Without ``verify`` any server certificate is taken."""

    ca: Path | None
    certificate: Path | None
    private_key: Path | None
    verify: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An engine's address as a URL (``unix``, ``tcp``, ``ssh``); the TLS files to use, if any."""

    url: str
    tls: TlsFiles | None = None


def resolve_endpoint(environ: Mapping[str, str]) -> Endpoint:
    """Return the engine that the environment and Docker's own configuration name.

    Raises ``UsageError``: ``unknown-docker-context``, ``bad-docker-config``, ``bad-docker-host``.
    """
    folder = _config_folder(environ)
    if environ.get("DOCKER_HOST"):
        return Endpoint(url=_normal(environ["DOCKER_HOST"]), tls=_environment_tls(environ, folder))
    context = environ.get("DOCKER_CONTEXT") or _read_json(folder / "config.json").get(
        "currentContext"
    )
    if not context or context == "default":
        return Endpoint(url=LOCAL)
    return _of_context(str(context), folder / "contexts")


def engine_answers(environ: Mapping[str, str]) -> bool:
    """Say whether an engine is there to be used, within a second.

    An ``ssh://`` engine is taken at its word: knocking would cost more than a no-op build.
    """
    try:
        url = resolve_endpoint(environ).url
    except UsageError:
        return False
    if url.startswith("ssh://"):
        return True
    try:
        _knock(url)
    except OSError:
        return False
    return True


def _knock(url: str) -> None:
    if url.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as knocking:
            knocking.settimeout(_PROBE_TIMEOUT_S)
            knocking.connect(url.removeprefix("unix://"))
        return
    parts = urlsplit(url)
    socket.create_connection((parts.hostname, parts.port), timeout=_PROBE_TIMEOUT_S).close()


def _config_folder(environ: Mapping[str, str]) -> Path:
    if environ.get("DOCKER_CONFIG"):
        return Path(environ["DOCKER_CONFIG"])
    home = environ.get("HOME")
    return (Path(home) if home else Path.home()) / ".docker"


def _normal(host: str) -> str:
    """Return ``host`` as a URL with a port, as the docker command reads it."""
    url = host if "://" in host else f"tcp://{host}"
    parts = urlsplit(url)
    match parts.scheme:
        case "unix":
            return url if parts.path else LOCAL
        case "ssh" if parts.hostname:
            return url
        case "tcp" | "http" | "https" if parts.hostname:
            # The TLS port is for TLS only by convention; an explicit port always wins.
            port = _port(parts.netloc, host) or (_TLS_PORT if parts.scheme == "https" else _PORT)
            name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
            return f"tcp://{name}:{port}"
    raise _bad_host(host)


def _port(netloc: str, host: str) -> int | None:
    try:
        return urlsplit(f"//{netloc}").port
    except ValueError:
        raise _bad_host(host) from None


def _bad_host(host: str) -> UsageError:
    return UsageError(
        f"{host!r} is no address of a Docker engine",
        reason="bad-docker-host",
        remedy="set DOCKER_HOST to unix:///path, tcp://host:port or ssh://user@host, or unset it",
    )


def _environment_tls(environ: Mapping[str, str], folder: Path) -> TlsFiles | None:
    # As for the docker command, any value asks for verification, "0" too.
    verify = bool(environ.get("DOCKER_TLS_VERIFY"))
    given = environ.get("DOCKER_CERT_PATH")
    if not verify and not given:
        return None
    return _tls(Path(given) if given else folder, verify=verify)


def _tls(folder: Path, *, verify: bool) -> TlsFiles:
    ca, certificate, private_key = (
        path if path.is_file() else None
        for path in (folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    )
    return TlsFiles(ca=ca, certificate=certificate, private_key=private_key, verify=verify)


def _of_context(name: str, contexts: Path) -> Endpoint:
    identity = hashlib.sha256(name.encode()).hexdigest()
    meta_file = contexts / "meta" / identity / "meta.json"
    endpoint = _read_json(meta_file).get("Endpoints", {}).get("docker", {})
    if not endpoint.get("Host"):
        raise UsageError(
            f"there is no docker context {name!r}",
            reason="unknown-docker-context",
            remedy="choose one that `docker context ls` lists: docker context use NAME",
        )
    tls_folder = contexts / "tls" / identity / "docker"
    skip_verify = bool(endpoint.get("SkipTLSVerify"))
    tls = _tls(tls_folder, verify=not skip_verify) if tls_folder.is_dir() or skip_verify else None
    return Endpoint(url=_normal(str(endpoint["Host"])), tls=tls)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _bad_config(path, str(error)) from None
    if not isinstance(content, dict):
        raise _bad_config(path, "it holds no JSON object")
    return content


def _bad_config(path: Path, why: str) -> UsageError:
    return UsageError(
        "Docker's configuration cannot be read",
        reason="bad-docker-config",
        where=str(path),
        why=why,
        remedy="correct or remove the file",
    )
