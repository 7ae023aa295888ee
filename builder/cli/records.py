"""Where tuning records lie: in the project, with the user, in the package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from builder.cli.environment import Environment
from builder.effects.tuning_records import read_records
from builder.model.tuning import TuningRecord
from builder.package_files import tuning_root
from builder.tuning.selection import compiler_name, known

FOLDER = "tuning"
"""Of a project's records, beside its file."""


def find_records(
    project: Path | None, environment: Environment, versions: Mapping[str, str]
) -> tuple[TuningRecord, ...]:
    """Return what is known for the compiler at hand; ``project`` is the folder of its file.

    The project's records count before the user's, and those before the ones that ship. Raises
    ``UsageError`` as ``read_records`` does.
    """
    own = (project / FOLDER,) if project else ()
    environment.trust.require(*own, environment.tuning_folder)
    folders = (*own, environment.tuning_folder, tuning_root())
    return known([read_records(folder) for folder in folders], compiler_name(versions))
