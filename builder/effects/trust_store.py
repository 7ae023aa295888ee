"""The certificates an image must trust: those the user names, or that an administrator added."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from builder.errors import UsageError

STORES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),  # Debian, Arch, Alpine
    Path("/etc/pki/tls/certs/ca-bundle.crt"),  # Fedora, Red Hat
    Path("/etc/ssl/ca-bundle.pem"),  # SUSE
    Path("/etc/ssl/cert.pem"),
)
SHIPPED = (
    Path("/usr/share/ca-certificates/mozilla"),
    Path("/usr/share/pki/ca-trust-source"),
    Path("/usr/share/pki/trust"),
)
"""Where distributions keep Mozilla's roots; what an administrator adds lies elsewhere."""

_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----"
)


def extra_certificates(
    environ: Mapping[str, str],
    *,
    stores: Iterable[Path] = STORES,
    shipped: Iterable[Path] = SHIPPED,
) -> str | None:
    """Return PEM text of the certificates to trust beside a distribution's own, or None.

    They are all of the file that ``PIP_CERT`` or ``SSL_CERT_FILE`` names, else those of the
    machine's own store without the roots that its distribution ships: an image has those, and its
    identity must not change with the machine's updates. Where nothing tells which those are, the
    store is not used. Raises ``UsageError`` ``unreadable-certificates``.
    """
    given = environ.get("PIP_CERT") or environ.get("SSL_CERT_FILE")
    extra = _named(Path(given)) if given else _added(stores, shipped)
    return "".join(map(_pem, sorted(extra))) or None


def _added(stores: Iterable[Path], shipped: Iterable[Path]) -> set[str]:
    known = set(_all_below(shipped))
    return _first(stores) - known if known else set()


def _named(file: Path) -> set[str]:
    try:
        return set(_certificates(file))
    except OSError as error:
        raise UsageError(
            "cannot read the extra CA certificates",
            reason="unreadable-certificates",
            where=str(file),
            why=error.strerror,
            remedy="correct or unset PIP_CERT and SSL_CERT_FILE",
        ) from None


def _first(stores: Iterable[Path]) -> set[str]:
    for store in stores:
        with suppress(OSError):
            return set(_certificates(store))
    return set()


def _all_below(folders: Iterable[Path]) -> Iterator[str]:
    for folder in folders:
        for file in folder.rglob("*"):
            with suppress(OSError):
                yield from _certificates(file)


def _certificates(file: Path) -> Iterator[str]:
    """Yield the base64 text of each certificate in a file, without white space."""
    text = file.read_text(encoding="ascii", errors="ignore")
    return ("".join(found[1].split()) for found in _CERTIFICATE.finditer(text))


def _pem(base64: str) -> str:
    lines = (base64[start : start + 64] for start in range(0, len(base64), 64))
    return "\n".join(("-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""))
