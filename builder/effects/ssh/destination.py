"""``user@host:port``, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass

from builder.errors import UsageError

_FORM = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@]*)@)?"
    r"(?:\[(?P<address>[^\]]+)\]|(?P<host>[^:@/\[\]]+)|(?P<bare>[0-9A-Fa-f:.%]*:[^@\[\]]*:[^@\[\]]*))"
    r"(?::(?P<port>[0-9]+))?/?"
)
# A name may end up in a command of the user's ssh_config: no character that a shell knows.
_UNSAFE = re.compile(r"^-|[\s\x00-\x1f\x7f'\"`$\\;&<>|(){}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """An SSH server as a user names it; None is what ssh_config says."""

    host: str
    user: str | None
    port: int | None


def parse_destination(text: str) -> Destination:
    """Return the parts of ``[ssh://][user@]host[:port]``; an IPv6 address may stand in brackets.

    Raises ``UsageError`` (``bad-destination``).
    """
    found = _FORM.fullmatch(text)
    if found is None or found["user"] == "":
        raise _malformed(text)
    host = found["address"] or found["host"] or found["bare"]
    user = found["user"]
    port = int(found["port"]) if found["port"] else None
    if any(part and _UNSAFE.search(part) for part in (host, user)):
        raise _malformed(text)
    if port is not None and not 0 < port < 1 << 16:
        raise _malformed(text)
    return Destination(host=host, user=user, port=port)


def _malformed(text: str) -> UsageError:
    return UsageError(
        f"{text!r} is no SSH destination",
        reason="bad-destination",
        remedy="write host, user@host or user@host:port, or a name of ~/.ssh/config",
    )
