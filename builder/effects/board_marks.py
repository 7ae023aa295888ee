"""Ending a command on a board for good: every process of it wears a mark in its environment.

To close its stream would leave it running, and servers send signals only for some users.
"""

from __future__ import annotations

MARKED = 'export BOARDWRIGHT_RUN="$0"; exec "$@"'
"""A script for ``sh -c SCRIPT MARK COMMAND...``: runs the command with the mark."""

KILL_MARKED = """
for process in /proc/[0-9]*; do
  tr '\\0' '\\n' 2>/dev/null < "$process/environ" | grep -q "^BOARDWRIGHT_RUN=$1" || continue
  kill -KILL "${process#/proc/}"
done 2>/dev/null
"""
"""A script for ``sh -c SCRIPT sh MARK``: kills every process that wears it."""
