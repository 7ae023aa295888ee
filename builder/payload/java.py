"""Compiling the Java API of an AAR."""

from __future__ import annotations

import shutil
from pathlib import Path

from builder.errors import UsageError
from builder.payload.tools import run_compiler
from builder.ports import Log

# Class files of Java 8 are what every Android build reads, and javac writes the same ones whatever
# its own version.
_OPTIONS = (
    *("--release", "8", "-encoding", "UTF-8", "-g:source,lines"),
    *("-proc:none", "-implicit:none", "-Xlint:all", "-Xlint:-options", "-Werror"),
    *("-J-XX:-UsePerfData", "-J-XX:TieredStopAtLevel=1"),
)


def compile_java(templates: Path, classes: Path, log: Log) -> None:
    """Compile ``templates/android/java`` to class files below the folder ``classes``.

    Android's own classes and the annotations are stubs to compile against. Raises ``UsageError``
    ``javac-missing``, ``BuildFailed``.
    """
    javac = shutil.which("javac")
    if javac is None:
        raise UsageError(
            "no Java compiler is installed where the build runs",
            reason="javac-missing",
            why="an AAR carries Java classes",
            remedy="apt-get install openjdk-17-jdk-headless, or leave out the target",
        )
    sources, stubs = templates / "android" / "java", templates / "android" / "java-stubs"
    classes.mkdir()
    command = (
        *(javac, *_OPTIONS, "-sourcepath", str(stubs), "-d", str(classes)),
        *map(str, sorted(sources.rglob("*.java"))),
    )
    run_compiler("javac", command, log=log, variables={})
