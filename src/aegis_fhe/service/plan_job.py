"""How a plan's job runs: what its ranks are told, and what they are given to survive."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from aegis_fhe.errors import CompatibilityError
from aegis_fhe.runtime.collectives import TIMEOUT_S
from aegis_fhe.runtime.launch import LaunchOptions


class JobOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the ranks of a job run. cuts: at most so many checkpoints. one_host: whether all are on one, where
    they meet in the folder and not at a port. timeout_s: how long a rank waits for another. traces: whether
    they log what they do.
    """

    world_size: int
    kernels: str
    threads: int
    cuts: int
    one_host: bool = True
    host_memory: bool = True
    timeout_s: float = TIMEOUT_S
    traces: bool = False

    def require_world(self, world_size: int) -> None:
        """Raises CompatibilityError where another number of ranks was started than the plan has devices."""
        if world_size != self.world_size:
            raise CompatibilityError(
                f"{world_size} ranks were started for a plan of {self.world_size} devices: hosts times ranks "
                "on each must be that many"
            )


@dataclass(frozen=True, kw_only=True)
class PlanJob:
    """A job that outlives its workers. folder: made where there is none; by default of the run alone. cuts:
    checkpoints, at most. restarts: of all ranks, at most. one_host: otherwise somebody else starts the ranks.
    host_memory: as of `JobOptions`.
    """

    folder: Path | None = None
    cuts: int = 4
    restarts: int = 3
    one_host: bool = True
    host_memory: bool = True

    def options(self, launching: LaunchOptions, kernels: str, *, traces: bool = False) -> JobOptions:
        """For its workers."""
        return JobOptions(
            world_size=launching.world_size,
            kernels=kernels,
            threads=launching.threads_per_worker,
            cuts=self.cuts,
            one_host=self.one_host,
            host_memory=self.host_memory,
            timeout_s=launching.collective_timeout_s,
            traces=traces,
        )
