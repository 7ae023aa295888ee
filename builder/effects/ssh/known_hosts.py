"""What known_hosts files say of a host (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from builder.effects.ssh.patterns import matches

_HASHED = "|1|"


class Verdict(Enum):
    """What is thought of a key that a server shows."""

    TRUSTED = "trusted"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """One line: whose key, of which type, and where it is written (``file:line``)."""

    marker: str | None
    hosts: str
    kind: str
    blob: bytes
    where: str

    def names(self, host: str) -> bool:
        """Return whether the line is about ``host``, which is written ``[host]:port`` off 22.

        Case counts on neither side, as in ssh; a hash is of the name as somebody wrote it.
        """
        if self.hosts.startswith(_HASHED):
            return any(_hash_matches(self.hosts, name) for name in (host.lower(), host))
        return matches(self.hosts.lower().split(","), host.lower())


def parse(text: str, file: str) -> Iterator[KnownKey]:
    """Yield the keys of a file. Lines that no reader understands are passed over, as in ssh."""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else None
        if len(words) < 3 or words[0].startswith("#"):
            continue
        try:
            blob = base64.b64decode(words[2], validate=True)
        except binascii.Error:
            continue
        where = f"{file}:{number}"
        yield KnownKey(marker=marker, hosts=words[0], kind=words[1], blob=blob, where=where)


def keys_of(host: str, known: Iterable[KnownKey]) -> tuple[KnownKey, ...]:
    """Return the lines about a host, those of certificate authorities left out."""
    return tuple(key for key in known if key.marker in (None, "@revoked") and key.names(host))


def judge(keys: Iterable[KnownKey], blob: bytes) -> Verdict:
    """Return what the lines about a host make of the key ``blob`` that it shows.

    A host known by keys of other types only has changed: whoever stands in its place could show a
    type that was never seen.
    """
    revoked = [key.blob for key in keys if key.marker]
    valid = [key.blob for key in keys if not key.marker]
    if blob in revoked:
        return Verdict.REVOKED
    if blob in valid:
        return Verdict.TRUSTED
    return Verdict.CHANGED if valid else Verdict.UNKNOWN


def fingerprint(blob: bytes) -> str:
    """Return ``SHA256:…`` as ssh-keygen prints it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii")
    return f"SHA256:{digest.rstrip('=')}"


def host_name(host: str, port: int) -> str:
    """Return the name under which a host's key is filed."""
    return host.lower() if port == 22 else f"[{host.lower()}]:{port}"


def _hash_matches(hashed: str, host: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part) for part in hashed[len(_HASHED) :].split("|"))
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(hmac.digest(salt, host.encode(), "sha1"), digest)
