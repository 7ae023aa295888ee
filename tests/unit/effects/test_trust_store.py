"""Which certificates an image must be given, and that a machine's updates are none of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.effects.trust_store import SHIPPED, extra_certificates
from builder.errors import UsageError


def pem(letter: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{letter * 64}\n{letter}\n-----END CERTIFICATE-----\n"


MOZILLA, COMPANY, PROXY = pem("M"), pem("C"), pem("P")


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, tuple[Path, ...]]:
    """A machine that trusts two roots more than its distribution ships."""
    store, shipped = tmp_path / "store.crt", tmp_path / "shipped"
    store.write_text(f"# comment\n{MOZILLA}{PROXY}{COMPANY}")
    (shipped / "mozilla").mkdir(parents=True)
    (shipped / "mozilla" / "root.crt").write_text(MOZILLA.replace("\n", "\r\n"))
    return {"stores": (tmp_path / "absent.crt", store), "shipped": (shipped, tmp_path / "absent")}


def test_the_machines_own_store_counts_where_no_variable_names_one(
    machine: dict[str, tuple[Path, ...]],
) -> None:
    assert extra_certificates({}, **machine) == COMPANY + PROXY


def test_all_of_a_file_that_is_named_counts(machine: dict[str, tuple[Path, ...]]) -> None:
    store = str(machine["stores"][1])
    for name in ("PIP_CERT", "SSL_CERT_FILE"):
        assert extra_certificates({name: store}, **machine) == COMPANY + MOZILLA + PROXY


def test_what_a_distribution_ships_is_no_extra(
    machine: dict[str, tuple[Path, ...]], tmp_path: Path
) -> None:
    plain = tmp_path / "plain.crt"
    plain.write_text(MOZILLA)
    assert extra_certificates({}, stores=(plain,), shipped=machine["shipped"]) is None
    assert extra_certificates({}, stores=(), shipped=machine["shipped"]) is None


def test_a_store_of_which_nothing_tells_what_was_added_is_not_used(
    machine: dict[str, tuple[Path, ...]], tmp_path: Path
) -> None:
    assert extra_certificates({}, stores=machine["stores"], shipped=(tmp_path / "none",)) is None


def test_a_package_of_a_company_ships_no_roots_of_the_distribution() -> None:
    assert not any(Path("/usr/share/ca-certificates/corp").is_relative_to(f) for f in SHIPPED)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        extra_certificates({"PIP_CERT": str(tmp_path / "absent")})
    assert caught.value.reason == "unreadable-certificates"
