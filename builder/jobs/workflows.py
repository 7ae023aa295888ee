"""A job matrix as the files that CI services run: rendered from ``ci/templates``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from posixpath import normpath
from typing import Literal

from jinja2 import Environment

from builder.errors import UsageError
from builder.jobs.matrix import JobMatrix
from builder.package_files import ci_templates_root
from builder.project.rendering import quoted
from builder.templating import environment

Service = Literal["github", "gitlab"]

_TEMPLATES: dict[Service, str] = {
    "github": "github-workflow.yml.j2",
    "gitlab": "gitlab-pipeline.yml.j2",
}
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Runners:
    """Where jobs run and what they install first.

    ``compile`` is a runner label (GitHub) or an image (GitLab), ``hardware`` the label or tag of
    machines that reach the boards. ``requirement`` is what pip installs.
    """

    compile: str
    hardware: str
    requirement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What the matrix was chosen by, for jobs to say again; paths are relative to the project."""

    patterns: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()
    target_folders: tuple[str, ...] = ()

    @property
    def everywhere(self) -> tuple[str, ...]:
        """The options without which no verb knows the project's own targets."""
        return _repeated("--targets", self.target_folders)

    @property
    def planning(self) -> tuple[str, ...]:
        """The options with which ``boardwright matrix`` comes to the same jobs."""
        return (
            *_repeated("--target", self.patterns),
            *_repeated("--tag", self.tags),
            *_repeated("--watch", self.watched),
            *self.everywhere,
        )


def render(
    service: Service, matrix: JobMatrix, runners: Runners, selection: Selection, *, folder: str
) -> str:
    """Return the text of a reusable GitHub workflow, or of a GitLab child pipeline.

    ``folder`` is the project's, relative to the repository (``.``). Raises ``UsageError``:
    ``bad-runner`` for a label that no runner can have, ``bad-path`` for what no script can hold.
    """
    if not _LABEL.fullmatch(runners.hardware):
        raise _bad_runner(runners.hardware)
    template = _templates().get_template(_TEMPLATES[service])
    return template.render(
        matrix=matrix,
        runners=runners,
        selection=selection,
        folder=folder,
        bundles=normpath(f"{folder}/dist/{matrix.model}"),
        results=normpath(f"{folder}/results"),
    )


def github_string(text: str) -> str:
    """Return ``text`` as a YAML scalar in which GitHub sees no expression."""
    return quoted(_without_expressions(text))


def gitlab_string(text: str) -> str:
    """Return ``text`` as a YAML scalar in which GitLab sees no variable."""
    return quoted(text.replace("$", "$$"))


def shell_words(words: Iterable[str]) -> str:
    """Return ``words`` for the end of a shell's command line, a space before each."""
    for word in words:
        if not word.isprintable():
            raise _bad_path(word)
    return "".join(f" {shlex.quote(word)}" for word in words)


def github_words(words: Iterable[str]) -> str:
    """Return ``shell_words`` for a script in which GitHub is to see no expression."""
    return _without_expressions(shell_words(words))


def _without_expressions(text: str) -> str:
    return text.replace("${{", "${{ '${{' }}")


def _repeated(option: str, values: Iterable[str]) -> tuple[str, ...]:
    return tuple(word for value in values for word in (option, value))


def _templates() -> Environment:
    # The services' own notation is full of braces; brackets leave it as it is.
    made = environment(ci_templates_root()).overlay(
        variable_start_string="[[",
        variable_end_string="]]",
        block_start_string="[%",
        block_end_string="%]",
    )
    made.filters["github"] = github_string
    made.filters["gitlab"] = gitlab_string
    made.filters["script"] = quoted
    made.filters["shell"] = shlex.quote
    made.filters["shell_words"] = shell_words
    made.filters["github_words"] = github_words
    return made


def _bad_runner(label: str) -> UsageError:
    return UsageError(
        f"{label!r} cannot be the label of a runner",
        reason="bad-runner",
        where="--hardware-runner",
        why="use letters, digits, '.', '_' and '-'",
    )


def _bad_path(path: str) -> UsageError:
    return UsageError(
        f"{path!r} cannot stand in a script",
        reason="bad-path",
        why="it holds characters that cannot be printed",
    )
