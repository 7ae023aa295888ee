"""The last word on a build: one row per target, and the same as one JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from builder.model.receipt import Receipt
from builder.report.wording import byte_size, max_error

COLUMNS = ("target", "library", "archive", "max error", "verified", "seconds", "cache")


def row(receipt: Receipt) -> tuple[str, ...]:
    """Return the cells of ``COLUMNS`` for one target."""
    sizes = receipt.sizes
    return (
        receipt.target,
        byte_size(sizes.library) if sizes else "-",
        byte_size(sizes.archive) if sizes else "-",
        max_error(receipt.verify),
        receipt.verify.where if receipt.status == "ok" else "failed",
        f"{receipt.seconds:.1f}",
        receipt.cache,
    )


def cautions(receipts: Sequence[Receipt]) -> list[str]:
    """Return what to think of before trusting the numbers, a line each; boards share a model."""
    lines = (
        f"caution: output {caution.output!r}: {caution.why}"
        for receipt in receipts
        for caution in receipt.verify.cautions
    )
    return list(dict.fromkeys(lines))


def kept(receipts: Sequence[Receipt]) -> list[str]:
    """Return which earlier bundles still lie where targets failed, a line each."""
    return [
        f"{receipt.target}: the bundle of {good.published_utc} stays in {good.path}"
        for receipt in receipts
        if (good := receipt.last_good)
    ]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines whose columns line up, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        for cells in rows
    ]


def document(model: str, receipts: Sequence[Receipt], seconds: float) -> dict[str, Any]:
    """Return what ``build --json`` prints; ``error`` is the first failure in target order."""
    failures = [receipt.error for receipt in receipts if receipt.error]
    return {
        "status": "failed" if failures else "ok",
        "model": model,
        "seconds": round(seconds, 3),
        "targets": [receipt.to_json() for receipt in receipts],
        "error": dict(failures[0]) if failures else None,
    }
