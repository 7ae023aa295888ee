"""What a build of one target left behind: the content of ``receipt.json``."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from builder.model.artifact import Caution, OutputError, SetVerdict, Sizes, Verification

RECEIPT_BYTES = 64 << 20
"""A larger file is no receipt."""

NOT_VERIFIED = Verification(ok=None, where="none", max_abs_error=None, outputs=())


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleRef:
    """Where the bundle folder lies (absolute), and the SHA-256 of its archive."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LastGood:
    """An earlier bundle that a failed build has left where it was.

    ``path`` is its folder (absolute), ``sha256`` that of its archive, ``key`` what went into it,
    ``published_utc`` when, in ISO 8601.
    """

    path: str
    sha256: str
    key: str
    published_utc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The outcome of one target. ``key`` names everything that went in; ``keys`` does so per step.

    ``cache`` is ``hit`` when no step had to run. ``bundle`` and ``sizes`` are None where there is
    no bundle; ``error`` is ``BoardwrightError.to_json`` where ``status`` is ``failed``, and
    ``last_good`` is the bundle that lies there then all the same.
    """

    status: Literal["ok", "failed"]
    model: str
    target: str
    key: str
    keys: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]
    bundle: BundleRef | None
    verify: Verification
    cache: Literal["hit", "miss"]
    seconds: float
    sizes: Sizes | None
    error: Mapping[str, Any] | None
    last_good: LastGood | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``receipt.json``."""
        bundle, sizes = self.bundle, self.sizes
        return {
            "status": self.status,
            "model": self.model,
            "target": self.target,
            "key": self.key,
            "keys": dict(self.keys),
            "versions": dict(self.versions),
            "bundle": bundle and {"path": bundle.path, "sha256": bundle.sha256},
            "verify": _verification_to_json(self.verify),
            "cache": self.cache,
            "seconds": round(self.seconds, 3),
            "sizes": sizes and _sizes_to_json(sizes),
            "error": self.error and dict(self.error),
            "last_good": self.last_good and dataclasses.asdict(self.last_good),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Receipt:
        """Rebuild what ``to_json`` wrote. Raises ``KeyError`` or ``TypeError`` for other data."""
        bundle, sizes, last_good = data["bundle"], data["sizes"], data.get("last_good")
        return cls(
            status=data["status"],
            model=data["model"],
            target=data["target"],
            key=data["key"],
            keys=tuple(data["keys"].items()),
            versions=tuple(data["versions"].items()),
            bundle=bundle and BundleRef(**bundle),
            verify=verification_from_json(data["verify"]),
            cache=data["cache"],
            seconds=data["seconds"],
            sizes=sizes and Sizes(**sizes),
            error=data["error"],
            last_good=last_good and LastGood(**last_good),
        )


def verification_from_json(data: Mapping[str, Any]) -> Verification:
    """Rebuild the ``Verification`` that a receipt or ``verification.json`` holds."""
    return Verification(
        ok=data["ok"],
        where=data["where"],
        max_abs_error=data["max_abs_error"],
        outputs=tuple(_output_from_json(output) for output in data["outputs"]),
        # Receipts of older builds tell of none.
        cautions=tuple(Caution(**caution) for caution in data.get("cautions", ())),
        sets=tuple(SetVerdict(**verdict) for verdict in data.get("sets", ())),
    )


def _output_from_json(data: Mapping[str, Any]) -> OutputError:
    return OutputError(
        name=data["name"],
        max_abs_error=_not_null(data["max_abs_error"]),
        max_rel_error=_not_null(data["max_rel_error"]),
        ok=data["ok"],
    )


def _finite(error: float | None) -> float | None:
    # JSON has no NaN and no infinity; a bundle that computes them has no measurable error.
    return error if error is not None and math.isfinite(error) else None


def _not_null(error: float | None) -> float:
    return math.nan if error is None else error


def _verification_to_json(verification: Verification) -> dict[str, Any]:
    return {
        "ok": verification.ok,
        "where": verification.where,
        "max_abs_error": _finite(verification.max_abs_error),
        "outputs": [
            {
                "name": output.name,
                "max_abs_error": _finite(output.max_abs_error),
                "max_rel_error": _finite(output.max_rel_error),
                "ok": output.ok,
            }
            for output in verification.outputs
        ],
        "cautions": [dataclasses.asdict(caution) for caution in verification.cautions],
        "sets": [
            dataclasses.asdict(verdict) | {"max_abs_error": _finite(verdict.max_abs_error)}
            for verdict in verification.sets
        ],
    }


def _sizes_to_json(sizes: Sizes) -> dict[str, int]:
    return {
        "library": sizes.library,
        "weights": sizes.weights,
        "archive": sizes.archive,
        "runner": sizes.runner,
    }
