"""From the text of a project file to a project."""

from __future__ import annotations

from builder.matrix.positions import parse as parse_yaml
from builder.model.project import Project


def parse(text: str, filename: str) -> Project:
    """Return the project that ``text`` describes; ``filename`` is how positions call it.

    Raises ``UsageError`` with ``file:line:column`` as ``where``: what ``positions.parse`` raises,
    or the first thing wrong with the values; where there are more, ``details["problems"]`` lists
    them all.
    """
    from builder.matrix.problems import check, together  # pydantic: 60 ms that --help saves
    from builder.project.schema import PROJECT_MEANINGS, ProjectFile

    checked = check(ProjectFile, parse_yaml(text, filename), PROJECT_MEANINGS)
    if isinstance(checked, tuple):
        raise together(checked)
    return checked.to_project()
