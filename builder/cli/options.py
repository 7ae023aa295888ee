"""Options that several verbs have."""

from __future__ import annotations

from pathlib import Path

import click

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document and nothing else."
)

target_folders_option = click.option(
    "--targets",
    "target_folders",
    metavar="DIR",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder with more targets; may be repeated.",
)
