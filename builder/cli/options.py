"""Options that several verbs have."""

from __future__ import annotations

from pathlib import Path

import click

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document and nothing else."
)

target_option = click.option(
    "-t",
    "--target",
    "targets",
    metavar="NAME",
    multiple=True,
    help="A target or a glob (jetson-*); may be repeated.",
)

shape_option = click.option(
    "--shape",
    "shapes",
    metavar="NAME=1,3,224,224",
    multiple=True,
    help="The shape of an input that the model leaves open; may be repeated.",
)

target_folders_option = click.option(
    "--targets",
    "target_folders",
    metavar="DIR",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A folder with more targets; may be repeated.",
)
