"""A plan's job in a folder: everything that workers need, and what they leave.

The folder holds no secret. It may lie elsewhere on another host: nothing in it names a path.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from aegis_fhe.errors import ContainerError, WorkerError
from aegis_fhe.runtime.events import DoneEvent
from aegis_fhe.runtime.launch import WorkerReport
from aegis_fhe.service.job import JobFiles
from aegis_fhe.service.plan_job import JobOptions, PlanJob

POLL_S = 0.5


@dataclass(frozen=True)
class PlanFolder:
    """Where the files of a job lie."""

    folder: Path

    @property
    def files(self) -> JobFiles:
        """Program, keys, input, results."""
        return JobFiles(folder=self.folder)

    @property
    def plan(self) -> Path:
        """The plan alone."""
        return self.folder / "plan.json"

    @property
    def checkpoints(self) -> Path:
        """A folder."""
        return self.folder / "checkpoints"

    def meeting(self, start: str) -> Path:
        """Where the ranks of one start find each other on one host."""
        return self.folder / f"meeting-{start}"

    def results(self, world_size: int) -> list[Path]:
        """By rank."""
        (found,) = self.files.results(world_size)
        return found

    def report(self, rank: int) -> Path:
        """What a rank says when it is done."""
        return self.folder / f"report-{rank}.json"

    def trace(self, rank: int) -> Path:
        """What a rank logs, where that was asked for; who takes its place after a failure goes on there."""
        return self.folder / f"trace-{rank}.jsonl"

    def config(self, options: JobOptions) -> dict[str, Any]:
        """Of its workers: a `PlanWorkerConfig`."""
        return {
            "plan": str(self.plan),
            "program": str(self.files.program),
            "keys": str(self.files.keys),
            "input": str(self.files.inputs[0]),
            "results": [str(path) for path in self.results(options.world_size)],
            "traces": [str(self.trace(rank)) for rank in range(options.world_size) if options.traces],
            "kernels": options.kernels,
            "checkpoints": str(self.checkpoints) if options.cuts else "",
            "cuts": options.cuts,
            "host_memory": options.host_memory,
        }

    def begin(self, options: JobOptions) -> None:
        """Ready for workers: nothing is left of an earlier run but its checkpoints."""
        self.checkpoints.mkdir(exist_ok=True)
        for rank in range(options.world_size):
            self.report(rank).unlink(missing_ok=True)
            self.trace(rank).unlink(missing_ok=True)
        for path in (*self.results(options.world_size), *self.folder.glob("meeting-*")):
            path.unlink(missing_ok=True)
        write_whole(self._options, msgspec.json.encode(options))

    def options(self) -> JobOptions:
        """Raises ContainerError for a folder that holds no job."""
        try:
            return msgspec.json.decode(self._options.read_bytes(), type=JobOptions)
        except (OSError, msgspec.DecodeError) as error:
            raise ContainerError(
                f"{self.folder} holds no job of a plan ({error}): prepare it with aegis layer PLAN --job"
            ) from error

    def reports(self, world_size: int) -> list[WorkerReport]:
        """Of all ranks. Raises WorkerError when one is missing."""
        found = []
        for rank in range(world_size):
            if not self.report(rank).exists():
                raise WorkerError(f"worker {rank} of {world_size} left no report in {self.folder}")
            done = msgspec.json.decode(self.report(rank).read_bytes(), type=DoneEvent)
            found.append(WorkerReport.of(done))
        return found

    def wait(self, world_size: int, say: Callable[[str], None]) -> list[WorkerReport]:
        """Until all ranks, which somebody else starts, are done."""
        say(
            f"waiting for the {world_size} ranks of the job in {self.folder}: start them on each host with "
            "torchrun --nnodes HOSTS --nproc-per-node RANKS --rdzv-backend c10d --rdzv-endpoint HOST:PORT "
            f"--max-restarts 3 -m aegis_fhe.service.plan_elastic {self.folder}"
        )
        while not all(self.report(rank).exists() for rank in range(world_size)):
            time.sleep(POLL_S)
        return self.reports(world_size)

    def end(self) -> None:
        """Results were used: no checkpoint is needed any more."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)
        for path in self.folder.glob("meeting-*"):
            path.unlink(missing_ok=True)

    @property
    def _options(self) -> Path:
        return self.folder / "job.json"


def write_whole(path: Path, data: bytes) -> None:
    """A small file that is there with all its bytes or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data)
    partial.replace(path)


@contextmanager
def folder_of(job: PlanJob | None) -> Iterator[PlanFolder]:
    """The job's, which stays; else one that goes with the run."""
    if job is None or job.folder is None:
        with tempfile.TemporaryDirectory(prefix="aegis-") as temporary:
            yield PlanFolder(Path(temporary))
    else:
        job.folder.mkdir(parents=True, exist_ok=True)
        yield PlanFolder(job.folder.resolve())
