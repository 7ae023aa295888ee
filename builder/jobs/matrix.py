"""What a project asks of CI: a compile job for each target, a hardware job for each board."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from builder.model.device import Device
from builder.model.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileJob:
    """Build one target's bundle: on any machine. ``arch`` is the target's, for people."""

    id: str
    target: str
    arch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareJob:
    """Deploy to one board and measure there; ``needs`` is the job that compiles for it."""

    id: str
    device: str
    target: str
    tags: tuple[str, ...]
    needs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobMatrix:
    """The jobs of one model, in the order of the project file."""

    model: str
    compile: tuple[CompileJob, ...]
    hardware: tuple[HardwareJob, ...]

    def to_json(self) -> dict[str, Any]:
        """Return what ``matrix --format json`` prints.

        ``compile`` and ``hardware`` are what ``strategy.matrix`` of a GitHub job takes.
        """
        return {
            "status": "ok",
            "model": self.model,
            "compile": {"include": [_compile_to_json(job) for job in self.compile]},
            "hardware": {"include": [_hardware_to_json(job) for job in self.hardware]},
        }


def job_matrix(model: str, targets: Sequence[Target], devices: Sequence[Device]) -> JobMatrix:
    """Return the jobs for ``targets`` and for those of ``devices`` that are one of them."""
    named = {target.name: target for target in targets}
    return JobMatrix(
        model=model,
        compile=tuple(_compile_job(target) for target in named.values()),
        hardware=tuple(_hardware_job(device) for device in devices if device.target in named),
    )


def tagged(devices: Sequence[Device], tags: Collection[str]) -> tuple[Device, ...]:
    """Return the devices that bear all ``tags``."""
    return tuple(device for device in devices if set(tags) <= set(device.tags))


def _compile_job(target: Target) -> CompileJob:
    return CompileJob(id=_id("compile", target.name), target=target.name, arch=target.platform.arch)


def _hardware_job(device: Device) -> HardwareJob:
    return HardwareJob(
        id=_id("hardware", device.name),
        device=device.name,
        target=device.target,
        tags=device.tags,
        needs=_id("compile", device.target),
    )


def _id(stage: str, name: str) -> str:
    # GitHub allows no dot in a job's id. Names hold no capitals, so two never meet in one id.
    return f"{stage}-{name.replace('.', 'Dot')}"


def _compile_to_json(job: CompileJob) -> dict[str, Any]:
    return {"id": job.id, "target": job.target, "arch": job.arch}


def _hardware_to_json(job: HardwareJob) -> dict[str, Any]:
    return {
        "id": job.id,
        "device": job.device,
        "target": job.target,
        "tags": list(job.tags),
        "needs": job.needs,
    }
