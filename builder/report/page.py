"""Results as one HTML page that needs nothing else: no network, no file beside it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from builder.bench.result import Measurement
from builder.report.page_history import histories
from builder.report.page_parts import card, clock_time, groups
from builder.templating import html_environment

_TEMPLATE = "report/report.html.j2"
_SCRIPT = "report/report.js"
_STYLE = "report/report.css"


def render_page(
    measurements: Sequence[Measurement], *, title: str, made_utc: str, templates: Path
) -> str:
    """Return the page about ``measurements``.

    Every string of theirs is text and nothing else; a content security policy with the hash of the
    page's own script stands behind that.
    """
    ordered = sorted(measurements, key=lambda m: m.taken_utc)
    script = (templates / _SCRIPT).read_text(encoding="utf-8")
    return (
        html_environment(templates)
        .get_template(_TEMPLATE)
        .render(
            title=title,
            made_utc=clock_time(made_utc),
            cards=[card(m, number) for number, m in enumerate(ordered)],
            groups=groups(ordered),
            histories=histories(ordered),
            style=(templates / _STYLE).read_text(encoding="utf-8"),
            script=script,
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )
