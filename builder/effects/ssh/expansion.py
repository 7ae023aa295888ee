"""What ``%h``, ``~`` and ``${NAME}`` stand for in an ssh_config file (ssh_config(5), TOKENS)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from builder.effects.ssh.directives import malformed
from builder.effects.ssh.settings import SshSettings

_TOKEN = re.compile(r"%(.?)")
_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names that tokens stand for; ``given`` is the host as the user wrote it."""

    given: str
    host: str
    host_key_alias: str | None
    port: int
    user: str

    def tokens(self, settings: SshSettings) -> Mapping[str, str]:
        """Return what each token's letter stands for."""
        return {
            "%": "%",
            "d": str(settings.home),
            "h": self.host,
            "k": self.host_key_alias or self.given,
            "L": settings.machine.partition(".")[0],
            "l": settings.machine,
            "n": self.given,
            "p": str(self.port),
            "r": self.user,
            "u": settings.user,
        }


def expand(text: str, tokens: Mapping[str, str], where: str) -> str:
    """Return ``text`` with its tokens replaced. Raises ``UsageError`` for one that is unknown."""

    def meaning(found: re.Match[str]) -> str:
        if found[1] not in tokens:
            raise malformed(where, f"the token {found[0]} is not known here")
        return tokens[found[1]]

    return _TOKEN.sub(meaning, text)


def expand_path(text: str, tokens: Mapping[str, str], settings: SshSettings, where: str) -> str:
    """Return a path with its home folder, variables and tokens replaced."""

    def meaning(found: re.Match[str]) -> str:
        if (value := settings.variables.get(found[1])) is None:
            raise malformed(where, f"the variable {found[1]} is not set")
        return value

    if text == "~" or text.startswith("~/"):
        text = f"{settings.home}{text[1:]}"
    return expand(_VARIABLE.sub(meaning, text), tokens, where)
