"""The value of every ssh_config keyword for one host: files, blocks and includes in ssh's order."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from builder.effects.ssh.config_file import read_config
from builder.effects.ssh.criteria import Question, asks_for_last, is_about
from builder.effects.ssh.directives import Directive, malformed
from builder.effects.ssh.expansion import Names, expand, expand_path
from builder.effects.ssh.settings import SshSettings

_DEPTH = 16
_EXEC_S = 10.0
_ADDING = ("identityfile",)


class HostConfig:
    """What the user's and the system's ssh_config say of ``given``; the first value counts.

    ``user`` and ``port`` are those of the command line, which come before any file. Raises
    ``UsageError`` (``ssh-config``, ``ssh-config-permissions``).
    """

    def __init__(
        self, given: str, settings: SshSettings, *, user: str | None, port: int | None
    ) -> None:
        self._given = given
        self._settings = settings
        self._found: dict[str, list[Directive]] = {}
        self._again = False
        self._told = {"user": user, "port": None if port is None else str(port)}
        self._read_all(last=False)
        if self._again:
            self._read_all(last=True)

    def directive(self, keyword: str) -> Directive | None:
        """Return the line that decides on ``keyword``, or None."""
        lines = self._found.get(keyword)
        return lines[0] if lines else None

    def directives(self, keyword: str) -> tuple[Directive, ...]:
        """Return every line of a keyword whose values add up."""
        return tuple(self._found.get(keyword, ()))

    def first_of(self, *keywords: str) -> Directive | None:
        """Return the line of these keywords that was read first: they exclude each other."""
        return next(
            (lines[0] for keyword, lines in self._found.items() if keyword in keywords), None
        )

    def value(self, keyword: str, default: str) -> str:
        """Return the value of ``keyword``."""
        if told := self._told.get(keyword):
            return told
        line = self.directive(keyword)
        return line.word if line else default

    @property
    def names(self) -> Names:
        """What is known by now of the host's names."""
        given = self._given
        line = self.directive("hostname")
        alias = self.directive("hostkeyalias")
        return Names(
            given=given,
            host=expand(line.word, {"h": given, "%": "%"}, line.where) if line else given,
            host_key_alias=alias.word if alias else None,
            port=self._port(),
            user=self.value("user", self._settings.user),
        )

    def _port(self) -> int:
        text = self.value("port", "22")
        if text.isascii() and text.isdigit() and 0 < int(text) < 1 << 16:
            return int(text)
        line = self.directive("port")
        raise malformed(line.where if line else self._given, f"{text!r} is no port")

    def _read_all(self, *, last: bool) -> None:
        settings = self._settings
        for path in (settings.user_config, settings.system_config):
            lines = read_config(path, owned=path == settings.user_config)
            self._walk(lines, path.parent, about=True, last=last, depth=0)

    def _walk(
        self, lines: Iterable[Directive], folder: Path, *, about: bool, last: bool, depth: int
    ) -> None:
        outside = about
        for line in lines:
            if line.keyword in ("host", "match"):
                self._again = self._again or asks_for_last(line)
                about = outside and is_about(line, self._question(line, last))
            elif line.keyword == "include":
                self._include(line, folder, about=about, last=last, depth=depth + 1)
            elif about:
                self._take(line)

    def _include(
        self, line: Directive, folder: Path, *, about: bool, last: bool, depth: int
    ) -> None:
        if depth > _DEPTH:
            raise malformed(line.where, "files include each other without end")
        owned = folder == self._settings.user_config.parent
        for word in line.words:
            pattern = expand_path(word, {"%": "%"}, self._settings, line.where)
            # Relative to ~/.ssh or /etc/ssh, however deep the file that includes it.
            start = Path("/") if pattern.startswith("/") else folder
            for path in sorted(start.glob(pattern.lstrip("/"))):
                lines = read_config(path, owned=owned)
                self._walk(lines, folder, about=about, last=last, depth=depth)

    def _take(self, line: Directive) -> None:
        lines = self._found.setdefault(line.keyword, [])
        if not lines or (line.keyword in _ADDING and line not in lines):
            lines.append(line)

    def _question(self, line: Directive, last: bool) -> Question:
        names = self.names
        return Question(
            given=names.host if last else self._given,
            host=names.host,
            user=names.user,
            local_user=self._settings.user,
            tag=self.value("tag", ""),
            last=last,
            succeeds=lambda command: self._succeeds(command, line.where),
        )

    def _succeeds(self, command: str, where: str) -> bool:
        expanded = expand(command, self.names.tokens(self._settings), where)
        try:
            done = subprocess.run(
                ("/bin/sh", "-c", expanded),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=dict(self._settings.variables),
                timeout=_EXEC_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise malformed(where, f"the command does not end within {_EXEC_S:g} s") from None
        return done.returncode == 0
