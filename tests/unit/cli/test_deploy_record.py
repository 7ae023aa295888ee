from __future__ import annotations

from pathlib import Path

import pytest

from builder.boards.bundle import LocalBundle
from builder.cli.deploy_record import failure_kept, planned, succeeded, unbuilt
from builder.deploy.deployment import MEASURE, PREFLIGHT, Deployment
from builder.deploy.layout import Holder, Release
from builder.deploy.shipment import EMPTY
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


def test_a_plan_begins_with_the_preflight_and_may_end_in_a_measurement() -> None:
    release = Release(number=1, id="toy-0123456789abcdef")
    plan = Deployment(
        id=release.id,
        there=release,
        current=release,
        reused_files=1,
        reused_bytes=1,
        shipment=EMPTY,
        prune=(),
    )
    holder = Holder(who="eve@else", age_s=7)
    steps = planned("pi", plan, holder, measured=True).document["steps"]
    assert (steps[0], steps[2:]) == (PREFLIGHT, [*plan.steps(), MEASURE])
    assert "eve@else" in steps[1]
    assert MEASURE not in planned("pi", plan, None, measured=False).document["steps"]


def test_a_plan_without_a_bundle_says_every_step_all_the_same() -> None:
    steps = unbuilt("pi", "raspberry-pi-4", keep=3, measured=True).document["steps"]
    assert [step.partition(" ")[0] for step in steps] == [
        *("build", "ask", "take", "send", "verify", "make", "check", "switch", "remove", "measure")
    ]
