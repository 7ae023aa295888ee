"""The certificates that this machine trusts beside those that every Debian image trusts anyway."""

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
    Path("/usr/share/ca-certificates"),
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

    They are those of ``PIP_CERT`` or ``SSL_CERT_FILE``, else of the machine's own store. The roots
    that its distribution ships are left out: an image has those, and its identity must not change
    with the machine's updates. Raises ``UsageError`` ``unreadable-certificates``.
    """
    given = environ.get("PIP_CERT") or environ.get("SSL_CERT_FILE")
    trusted = _named(Path(given)) if given else _first(stores)
    if not trusted:
        return None
    extra = sorted(trusted - set(_all_below(shipped)))
    return "".join(map(_pem, extra)) or None


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
