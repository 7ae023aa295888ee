"""Proving to a server who we are: keys of the agent and of files, never a question to the user."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from paramiko.agent import AgentKey
from paramiko.pkey import PublicBlob

from builder.effects.board_failures import link_lost
from builder.effects.ssh.agent import agent_keys
from builder.effects.ssh.settings import Hop
from builder.effects.ssh.wire import Wire
from builder.errors import DeviceRefused

_UNREADABLE = (OSError, ValueError, TypeError, UnsupportedAlgorithm, paramiko.SSHException)


def authenticate(transport: paramiko.Transport, wire: Wire, hop: Hop) -> None:
    """Authenticate as ``hop.user``.

    Keys that the agent holds come first, those of ``hop.identity_files`` before its others; then
    the files. A file with a passphrase is passed over: only the agent can open it. Last comes no
    key at all, which is what a board without a password takes. Raises ``DeviceRefused``
    (``authentication-failed``), ``DeviceLost`` (``link-lost``) where an answer stays out.
    """
    tried: list[str] = []
    passed_over: list[Path] = []
    with agent_keys(hop.agent) as held:
        for name, key in _candidates(hop, held, passed_over):
            tried.append(name)
            if _accepted(transport, wire, hop, partial(transport.auth_publickey, hop.user, key)):
                return
            if not transport.is_active():  # the server has seen enough keys
                raise _failed(hop, tried, passed_over)
    if not _accepted(transport, wire, hop, partial(transport.auth_none, hop.user)):
        raise _failed(hop, tried, passed_over)


def _candidates(
    hop: Hop, held: Sequence[AgentKey], passed_over: list[Path]
) -> Iterator[tuple[str, paramiko.PKey]]:
    wanted = {path: _public_blob(path) for path in hop.identity_files}
    known = [key for key in held if key.asbytes() in wanted.values()]
    others = [] if hop.identities_only else [key for key in held if key not in known]
    for key in (*known, *others):
        yield f"agent: {key.comment or key.get_name()}", key
    offered = {key.asbytes() for key in known}
    for path, blob in wanted.items():
        if blob not in offered and (loaded := _load(path, passed_over)) is not None:
            yield str(path), loaded


def _public_blob(path: Path) -> bytes | None:
    try:
        words = path.with_name(path.name + ".pub").read_text(encoding="utf-8").split()
        return PublicBlob.from_string(" ".join(words[:2])).key_blob
    except (OSError, ValueError):
        return None


def _load(path: Path, passed_over: list[Path]) -> paramiko.PKey | None:
    try:
        return paramiko.PKey.from_path(path)
    except FileNotFoundError:
        return None
    except _UNREADABLE:
        passed_over.append(path)
        return None


def _accepted(
    transport: paramiko.Transport, wire: Wire, hop: Hop, ask: Callable[[], object]
) -> bool:
    heard_bytes = wire.heard_bytes
    try:
        ask()
    except (paramiko.SSHException, EOFError) as error:
        if wire.heard_bytes == heard_bytes:
            raise link_lost(hop.alias, "no answer while authenticating") from error
        return False
    except OSError as error:
        raise link_lost(hop.alias, error.strerror) from error
    return transport.is_authenticated()


def _failed(hop: Hop, tried: list[str], passed_over: list[Path]) -> DeviceRefused:
    why = f"tried {', '.join(tried)}" if tried else "there was no key to try"
    if passed_over:
        locked = ", ".join(map(str, passed_over))
        why += f"; passed over {locked}: a passphrase, or no key in it"
    return DeviceRefused(
        f"no key is accepted for {hop}",
        reason="authentication-failed",
        where=hop.alias,
        why=why,
        remedy=f"ssh-copy-id {hop.alias}, ssh-add the key, or set IdentityFile in ~/.ssh/config",
        details={"user": hop.user, "host": hop.host, "tried": tried},
    )
