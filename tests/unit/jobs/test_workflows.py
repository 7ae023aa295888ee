"""CI files: a job matrix in, YAML out that says what was meant."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import UsageError
from builder.jobs.matrix import job_matrix
from builder.jobs.workflows import (
    Runners,
    Selection,
    Service,
    github_string,
    gitlab_string,
    render,
    shell_words,
)
from builder.model.device import Device
from tests.nouns import a_pc, a_target

NANO = Device(name="nano", target="jetson-nano", host="nano", root=None, tags=("lab",))
MATRIX = job_matrix("mnist", [a_pc(), a_target()], [NANO])
RUNNERS = Runners(compile="ubuntu-24.04", hardware="lab", requirement="boardwright==1.0")


def rendered(
    service: Service, folder: str = ".", runners: Runners = RUNNERS, matrix: Any = MATRIX
) -> Any:
    text = render(service, matrix, runners, Selection(), folder=folder)
    return yaml.load(text, Loader=yaml.BaseLoader)


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
    text = str(rendered(service))
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
        render("github", MATRIX, runners, Selection(), folder=".")
    assert refused.value.reason == "bad-runner"


CHOSEN = Selection(
    patterns=("jetson-*",),
    tags=("lab",),
    watched=("../it's ${{ x }}.txt",),
    target_folders=("boards", "more boards"),
)


@pytest.mark.parametrize("service", ["github", "gitlab"])
def test_jobs_know_the_targets_of_the_matrix(service: Service) -> None:
    jobs = yaml.safe_load(render(service, MATRIX, RUNNERS, CHOSEN, folder="."))
    jobs = jobs.get("jobs", jobs)
    for name in ("compile-jetson-nano", "hardware-nano"):
        assert "--targets boards --targets 'more boards'" in str(jobs[name]).replace("\\'", "'")


def test_the_plan_on_github_asks_for_the_same_jobs_again() -> None:
    plan = yaml.safe_load(render("github", MATRIX, RUNNERS, CHOSEN, folder="."))["jobs"]["plan"]
    script = plan["steps"][-1]["run"].replace("${{ '${{' }}", "${{")
    words = shlex.split(script.partition("> matrix.json")[0].partition("${ONLY")[0])
    assert words == ["boardwright", "matrix", "--format", "json", *CHOSEN.planning]


def test_a_path_that_no_script_can_hold_is_refused() -> None:
    with pytest.raises(UsageError) as refused:
        shell_words(["boards\n- rm"])
    assert refused.value.reason == "bad-path"


@given(st.text(st.characters(codec="utf-8")))
def test_strings_are_yaml_scalars(text: str) -> None:
    assert yaml.safe_load(gitlab_string(text)) == text.replace("$", "$$")
    assert yaml.safe_load(github_string(text)) == text.replace("${{", "${{ '${{' }}")
