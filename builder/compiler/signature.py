"""The signature of a prepared model, as its file holds it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter

from builder.model.tensor import Signature

_FILE = "signature.json"


def write_signature(signature: Signature, prepared: Path) -> None:
    """Write the signature into the artifact of a preparation."""
    text = json.dumps(asdict(signature), indent=1) + "\n"
    (prepared / _FILE).write_text(text, encoding="utf-8")


def read_signature(prepared: Path) -> Signature:
    """Read back what ``write_signature`` wrote."""
    return TypeAdapter(Signature).validate_json((prepared / _FILE).read_text(encoding="utf-8"))
