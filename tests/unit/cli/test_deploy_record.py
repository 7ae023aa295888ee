from __future__ import annotations

from pathlib import Path

import pytest

from builder.boards.bundle import LocalBundle
from builder.cli.deploy_record import failure_kept, succeeded
from builder.errors import DeviceLost
from builder.model.deployed import Deployed

DONE = Deployed(
    device="pi",
    target="raspberry-pi-4",
    model="toy",
    release="00000001-toy-0123456789abcdef",
    previous=None,
    changed=True,
    sent_bytes=1,
    resumed_bytes=0,
    reused_bytes=0,
    removed=(),
    fence=1,
)


@pytest.fixture
def unwritable(tmp_path: Path) -> LocalBundle:
    """A published bundle in whose folder nothing can be kept."""
    (tmp_path / "receipt.json").touch()
    (tmp_path / "deploy-pi.json" / "in the way").mkdir(parents=True)
    return LocalBundle(
        folder=tmp_path / "bundle", model="toy", target="raspberry-pi-4", id="toy-0", files=()
    )


def test_what_cannot_be_kept_undoes_no_deployment(
    unwritable: LocalBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    assert succeeded(DONE, unwritable, seconds=1.0).document["release"] == DONE.release
    assert capsys.readouterr().err.startswith("warning: ")


def test_what_cannot_be_kept_hides_no_failure(
    unwritable: LocalBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DeviceLost), failure_kept("pi", unwritable):
        raise DeviceLost("lost", reason="link-lost")
    assert capsys.readouterr().err.startswith("warning: ")
