"""Deciding, before anything is said of the user, whether a server is the one that is known."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import paramiko

from builder.effects.ssh.known_hosts import (
    KnownKey,
    Verdict,
    fingerprint,
    host_name,
    judge,
    keys_of,
    parse,
)
from builder.effects.ssh.settings import Hop, SshSettings
from builder.errors import HostNotTrusted, UsageError

_RSA = ("rsa-sha2-512", "rsa-sha2-256")


class HostTrust:
    """What the user's and the system's known_hosts files say of ``hop``."""

    def __init__(self, hop: Hop, settings: SshSettings) -> None:
        self._hop = hop
        self._accept_new = settings.accept_new_host_key
        written = host_name(hop.host, hop.port)
        known = tuple(chain.from_iterable(map(_read, hop.known_hosts)))
        self._name = (hop.host_key_alias or written).lower()
        self._keys = keys_of(hop.host_key_alias or written, known)
        self._keys_of_any_port = keys_of(hop.host, known)
        self._keys_of_any_name = (*self._keys_of_any_port, *keys_of(written, known))

    def preferred(self, kinds: Sequence[str]) -> tuple[str, ...]:
        """Return the types of host key in the order to ask for them: the known ones first."""
        known = set(chain.from_iterable(_signatures(key.kind) for key in self._keys))
        return tuple(sorted(kinds, key=lambda kind: kind not in known))

    def verify(self, shown: paramiko.PKey) -> None:
        """Return if the key that the server shows is the host's; write a new one down if told to.

        Raises ``HostNotTrusted``: ``host-key-unknown``, ``host-key-changed``, ``host-key-revoked``.
        """
        match self._verdict(shown.asbytes()):
            case Verdict.TRUSTED:
                return
            case Verdict.UNKNOWN if self._accept_new:
                self._add(shown)
            case Verdict.UNKNOWN:
                raise self._unknown(shown)
            case Verdict.CHANGED:
                raise self._changed(shown)
            case Verdict.REVOKED:
                raise self._revoked(shown)

    def _verdict(self, blob: bytes) -> Verdict:
        # A key that was revoked under any of the host's names is none to be known by another.
        if judge(self._keys_of_any_name, blob) is Verdict.REVOKED:
            return Verdict.REVOKED
        verdict = judge(self._keys, blob)
        if verdict is not Verdict.UNKNOWN or self._hop.host_key_alias is not None:
            return verdict
        # As ssh does: a line without a port may vouch for a server on another one, not more.
        elsewhere = judge(self._keys_of_any_port, blob)
        return Verdict.TRUSTED if elsewhere is Verdict.TRUSTED else verdict

    def _add(self, shown: paramiko.PKey) -> None:
        name = self._name
        if self._hop.hash_known_hosts:
            name = paramiko.HostKeys.hash_host(name)
        try:
            _append(self._hop.known_hosts[0], f"{name} {shown.get_name()} {shown.get_base64()}\n")
        except OSError as error:
            raise UsageError(
                "the new host key cannot be written down",
                reason="known-hosts-not-writable",
                where=str(self._hop.known_hosts[0]),
                why=error.strerror,
                remedy="set UserKnownHostsFile in ~/.ssh/config to a file that can be written",
            ) from error

    def _unknown(self, shown: paramiko.PKey) -> HostNotTrusted:
        seen = fingerprint(shown.asbytes())
        return HostNotTrusted(
            f"the host key of {self._name} is not known: {shown.get_name()} {seen}",
            reason="host-key-unknown",
            where=self._hop.alias,
            remedy="compare it with the board's own (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub),"
            " then run again with --accept-new-host-key",
            details=self._details(shown),
        )

    def _changed(self, shown: paramiko.PKey) -> HostNotTrusted:
        key = next((key for key in self._keys if key.kind == shown.get_name()), self._keys[0])
        file = key.where.rpartition(":")[0]
        return HostNotTrusted(
            f"the host key of {self._name} has changed: known {fingerprint(key.blob)},"
            f" shown {fingerprint(shown.asbytes())}",
            reason="host-key-changed",
            where=key.where,
            why="the board was set up anew, or another machine answers in its place",
            state="nothing was sent to it",
            remedy=f"if the board was set up anew: ssh-keygen -R '{self._name}' -f {file}",
            details=self._details(shown),
        )

    def _revoked(self, shown: paramiko.PKey) -> HostNotTrusted:
        return HostNotTrusted(
            f"the host key of {self._name} is revoked: {fingerprint(shown.asbytes())}",
            reason="host-key-revoked",
            where=self._hop.alias,
            remedy="give the board a new host key",
            details=self._details(shown),
        )

    def _details(self, shown: paramiko.PKey) -> dict[str, object]:
        known = [
            {"type": key.kind, "fingerprint": fingerprint(key.blob), "where": key.where}
            for key in self._keys
        ]
        return {
            "host": self._name,
            "shown": {"type": shown.get_name(), "fingerprint": fingerprint(shown.asbytes())},
            "known": known,
        }


def _signatures(kind: str) -> tuple[str, ...]:
    return _RSA if kind == "ssh-rsa" else (kind,)


def _read(path: Path) -> tuple[KnownKey, ...]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise UsageError(
            "the known_hosts file cannot be read",
            reason="known-hosts-unreadable",
            where=str(path),
            why=error.strerror,
        ) from error
    return tuple(parse(text, str(path)))


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # One write at the end of the file: others may be adding theirs.
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        size = os.fstat(file).st_size
        joined = size == 0 or os.pread(file, 1, size - 1) == b"\n"
        os.write(file, (line if joined else f"\n{line}").encode())
    finally:
        os.close(file)
