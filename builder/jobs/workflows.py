"""A job matrix as the files that CI services run: rendered from ``ci/templates``."""

from __future__ import annotations

import re
import shlex
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


def render(service: Service, matrix: JobMatrix, runners: Runners, *, folder: str) -> str:
    """Return the text of a reusable GitHub workflow, or of a GitLab child pipeline.

    ``folder`` is the project's, relative to the repository (``.``). Raises ``UsageError``
    ``bad-runner`` for a label that no runner can have.
    """
    if not _LABEL.fullmatch(runners.hardware):
        raise _bad_runner(runners.hardware)
    template = _templates().get_template(_TEMPLATES[service])
    return template.render(
        matrix=matrix,
        runners=runners,
        folder=folder,
        bundles=normpath(f"{folder}/dist/{matrix.model}"),
        results=normpath(f"{folder}/results"),
    )


def github_string(text: str) -> str:
    """Return ``text`` as a YAML scalar in which GitHub sees no expression."""
    return quoted(text.replace("${{", "${{ '${{' }}"))


def gitlab_string(text: str) -> str:
    """Return ``text`` as a YAML scalar in which GitLab sees no variable."""
    return quoted(text.replace("$", "$$"))


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
    return made


def _bad_runner(label: str) -> UsageError:
    return UsageError(
        f"{label!r} cannot be the label of a runner",
        reason="bad-runner",
        where="--hardware-runner",
        why="use letters, digits, '.', '_' and '-'",
    )
