"""From the text of a project file to a project, and of the user's own file to devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from builder.matrix.positions import parse as parse_yaml
from builder.model.device import Device
from builder.model.project import Project

if TYPE_CHECKING:
    from builder.matrix.schema import Section

Schema = TypeVar("Schema", bound="Section")


def parse(text: str, filename: str) -> Project:
    """Return the project that ``text`` describes; ``filename`` is how positions call it.

    Raises ``UsageError`` with ``file:line:column`` as ``where``: what ``positions.parse`` raises,
    or the first thing wrong with the values; where there are more, ``details["problems"]`` lists
    them all.
    """
    from builder.project.schema import ProjectFile  # pydantic: 60 ms that --help saves

    return _checked(ProjectFile, text, filename).to_project()


def parse_devices(text: str, filename: str) -> tuple[Device, ...]:
    """Return the devices that the user's own file lists. Raises as ``parse`` does."""
    from builder.project.schema import DevicesFile

    return _checked(DevicesFile, text, filename).to_devices()


def _checked(schema: type[Schema], text: str, filename: str) -> Schema:
    from builder.matrix.problems import check, together
    from builder.project.schema import PROJECT_MEANINGS

    checked = check(schema, parse_yaml(text, filename), PROJECT_MEANINGS)
    if isinstance(checked, tuple):
        raise together(checked)
    return checked
