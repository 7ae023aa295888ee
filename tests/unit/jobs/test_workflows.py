"""CI files: a job matrix in, YAML out that says what was meant."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import UsageError
from builder.jobs.matrix import job_matrix
from builder.jobs.workflows import Runners, Service, github_string, gitlab_string, render
from builder.model.device import Device
from tests.nouns import a_pc, a_target

NANO = Device(name="nano", target="jetson-nano", host="nano", root=None, tags=("lab",))
MATRIX = job_matrix("mnist", [a_pc(), a_target()], [NANO])
RUNNERS = Runners(compile="ubuntu-24.04", hardware="lab", requirement="boardwright==1.0")


def rendered(
    service: Service, folder: str = ".", runners: Runners = RUNNERS, matrix: Any = MATRIX
) -> Any:
    return yaml.load(render(service, matrix, runners, folder=folder), Loader=yaml.BaseLoader)


def test_github_has_a_job_for_each_target_and_board() -> None:
    jobs = rendered("github")["jobs"]
    assert list(jobs) == [
        "plan",
        "compile-x86_64-linux",
        "compile-jetson-nano",
        "hardware-nano",
    ]
    assert jobs["hardware-nano"]["runs-on"] == "lab"
    assert jobs["hardware-nano"]["needs"] == ["plan", "compile-jetson-nano"]
    assert jobs["hardware-nano"]["concurrency"]["group"] == "board-nano"


def test_gitlab_has_a_job_for_each_target_and_board() -> None:
    pipeline = rendered("gitlab")
    assert pipeline["hardware-nano"]["needs"] == ["compile-jetson-nano"]
    assert pipeline["hardware-nano"]["tags"] == ["lab"]
    assert pipeline["hardware-nano"]["resource_group"] == "board-nano"
    assert "nothing-changed" not in pipeline


def test_a_pipeline_of_nothing_still_has_a_job() -> None:
    pipeline = rendered("gitlab", matrix=job_matrix("mnist", [], []))
    assert "nothing-changed" in pipeline


@pytest.mark.parametrize("service", ["github", "gitlab"])
def test_hardware_jobs_wait_for_the_boards_lock(service: Service) -> None:
    text = render(service, MATRIX, RUNNERS, folder=".")
    assert "deploy-remote --device nano" in text
    assert '--wait "$WAIT_SECONDS"' in text


def test_a_folder_and_a_requirement_of_any_spelling_stay_text() -> None:
    folder, requirement = "models/it's: #1 ${{ x }}", 'x @ file:///a"b\\$HOME ${{ secrets.A }}'
    runners = Runners(compile="ubuntu-24.04", hardware="lab", requirement=requirement)
    github = rendered("github", folder, runners)
    quoted = "${{ '${{' }} "
    assert github["env"]["REQUIREMENT"] == requirement.replace("${{ ", quoted)
    assert github["defaults"]["run"]["working-directory"] == folder.replace("${{ ", quoted)
    gitlab = rendered("gitlab", folder, runners)
    assert gitlab["variables"]["REQUIREMENT"] == requirement.replace("$", "$$")
    assert gitlab["default"]["before_script"][0].startswith("cd 'models/it'")


def test_a_label_that_no_runner_has_is_refused() -> None:
    runners = Runners(compile="x", hardware="lab, other]", requirement="boardwright")
    with pytest.raises(UsageError) as refused:
        render("github", MATRIX, runners, folder=".")
    assert refused.value.reason == "bad-runner"


@given(st.text(st.characters(codec="utf-8")))
def test_strings_are_yaml_scalars(text: str) -> None:
    assert yaml.safe_load(gitlab_string(text)) == text.replace("$", "$$")
    assert yaml.safe_load(github_string(text)) == text.replace("${{", "${{ '${{' }}")
