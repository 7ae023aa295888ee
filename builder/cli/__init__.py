"""From argv to exit code: the only place that reads the environment and the clock, and exits."""

from __future__ import annotations


def main() -> int:
    """Run ``boardwright`` and return its exit code."""
    try:
        # Imported here so that Ctrl-C during the imports ends as quietly as at any other moment.
        from builder.cli.app import run

        return run()
    except KeyboardInterrupt:
        return 130
