"""Ranks that start in no time: forked out of one process that has everything loaded, and killed at random.

Run as `python -m service.forked_ranks FOLDER SEED KILLS`; prints what it did as one JSON object. What a rank
does is what a worker of a plan does after its files are read: it meets the others, agrees with them on a
checkpoint, and computes its share from there on.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch

from aegis_fhe.ckks import Parameters
from aegis_fhe.placement.cuts import choose_cuts
from aegis_fhe.ring import native
from aegis_fhe.runtime.collectives import Communicator
from aegis_fhe.runtime.mesh import Checkpoints, connect_mesh
from aegis_fhe.runtime.process_state import is_stopped
from aegis_fhe.service.checkpoints import RankCheckpoints
from runtime.mesh.cases import Case, digest
from runtime.mesh.rendered import case_of, over_processes

CUTS = 6
MOST_SAVED = 0.7
RANKS = range(2)


@cache
def planned() -> Case:
    """A layer on two devices that exchange values of every stage."""
    return case_of(over_processes()["tensor_parallel"])


@dataclass
class Job:
    """In a folder: checkpoints, and what each rank says at its end. starts: how often it was started."""

    folder: Path
    memory: bool = True
    timeout_s: float = 300.0
    starts: int = 0
    processes: dict[int, int] = field(default_factory=dict)

    def remaining(self) -> float:
        """About which part of a run's time the next start will take: meeting the others, and what is left."""
        done = [int(path.stem.rpartition("-")[2]) for path in self.folder.glob("checkpoint-0-*")]
        return 1.0 - MOST_SAVED * max(done, default=0) / len(planned().program.schedule.position)

    def start(self) -> None:
        """All ranks, from the newest checkpoint that all have."""
        self.starts += 1
        for path in self.folder.glob("said-*"):
            path.unlink()
        self.processes = {rank: forked(lambda rank=rank: self.share(rank)) for rank in RANKS}

    def share(self, rank: int) -> None:
        """What a rank does."""
        try:
            self.say(rank, self.computed(rank))
        except Exception as error:
            self.say(rank, {"error": type(error).__name__, "message": str(error)})
            os._exit(1)

    def computed(self, rank: int) -> dict[str, Any]:
        torch.set_num_threads(1)
        case = planned()
        params = Parameters.from_dict(case.encrypted.program.params.to_dict())
        world = Communicator.connect(
            rank=rank,
            world_size=len(RANKS),
            rendezvous=f"file://{self.folder}/meeting-{self.starts}",
            timeout_s=self.timeout_s,
        )
        communicators = connect_mesh(world, case.mesh, host_memory=self.memory)
        own = RankCheckpoints(self.folder, "ab" * 32, world, lambda line: self.say(rank, {"line": line}))
        begin, program = own.load(case.program, params), case.program
        position = 0 if begin is None else begin.position
        facts = program.schedule, program.facts, params, program.layout, program.results
        checkpoints = Checkpoints(cuts=choose_cuts(*facts, CUTS), save=own.save, begin=begin)
        execution = case.share(communicators, checkpoints, params)
        assert communicators.received() == case.traffic.received[rank]
        world.barrier("end")
        return {"begin": position, "digests": {k: digest(x) for k, x in execution.results.items()}}

    def say(self, rank: int, said: dict[str, Any]) -> None:
        partial = self.folder / f".said-{rank}"
        partial.write_text(json.dumps(said))
        partial.rename(self.folder / f"said-{rank}")

    def said(self) -> list[dict[str, Any]]:
        paths = [self.folder / f"said-{rank}" for rank in RANKS]
        return [json.loads(path.read_text()) if path.exists() else {} for path in paths]

    def wait(self) -> list[int]:
        """The exit status of every rank, minus the signal that ended it."""
        found = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in self.processes.values()]
        self.processes = {}
        return found

    def kill(self, rank: int, number: int = signal.SIGKILL) -> None:
        os.kill(self.processes[rank], number)

    def end_others(self, rank: int) -> None:
        """As an agent does that has lost a rank."""
        for other in RANKS:
            if other != rank:
                self.kill(other, signal.SIGTERM)

    def clear(self) -> None:
        for path in self.folder.iterdir():
            path.unlink()


def forked(body: Callable[[], None]) -> int:
    """A process number."""
    process = os.fork()
    if process == 0:
        body()
        os._exit(0)
    return process


def undisturbed(job: Job) -> tuple[list[dict[str, str]], float]:
    """Digests of each rank, and seconds."""
    start = time.monotonic()
    job.start()
    assert job.wait() == [0 for _ in RANKS], job.said()
    return [one["digests"] for one in job.said()], time.monotonic() - start


def killed(folder: Path, seed: int, kills: int) -> dict[str, Any]:
    """A rank at a time, chosen by chance, at a moment chosen by chance of what its run still takes."""
    rng, job, moments = random.Random(seed), Job(folder), []
    digests, whole_s = undisturbed(job)
    case = planned()
    for rank, own in enumerate(digests):
        assert own == {name: digest(case.expected(name, rank)) for name in own}
    job.clear()
    equal, finished, missed, begins, most_files = True, 0, 0, [], 0
    while True:
        job.start()
        rank, moment = rng.choice(RANKS), rng.uniform(0.0, whole_s * job.remaining())
        if len(moments) < kills:
            time.sleep(moment)
            if (os.waitpid(job.processes[rank], os.WNOHANG)[0]) == 0:
                job.kill(rank)
                job.end_others(rank)
                status = job.wait()
                if status[rank] == 0:
                    missed += 1  # it was done just before
                    continue
                moments.append([rank, round(moment, 3), status[rank]])
                most_files = max(most_files, len(list(folder.glob("*checkpoint*"))))
                continue
            del job.processes[rank]
        assert set(job.wait()) <= {0}, job.said()
        finished += 1
        equal = equal and [one["digests"] for one in job.said()] == digests
        begins += [one["begin"] for one in job.said()]
        if len(moments) >= kills:
            break
        job.clear()
    return {
        "seed": seed,
        "moments": moments,
        "starts": job.starts,
        "finished": finished,
        "missed": missed,
        "equal": equal,
        "begins": begins,
        "most_files": most_files,
        "whole_s": whole_s,
        "digests": digests,
    }


def stopped(folder: Path) -> dict[str, Any]:
    """Through sockets, a rank is stopped in its run for longer than the timeout; and for less."""
    job = Job(folder, memory=False, timeout_s=2.0)
    job.clear()
    job.start()
    while not list(folder.glob("checkpoint-1-*")):
        time.sleep(0.005)
    job.kill(1, signal.SIGSTOP)
    first = os.waitstatus_to_exitcode(os.waitpid(job.processes.pop(0), 0)[1])
    was_stopped = is_stopped(job.processes[1])
    job.kill(1)
    status = [first, *job.wait()]
    job.timeout_s = 300.0
    said = job.said()[0]
    job.start()
    time.sleep(0.3)
    job.kill(1, signal.SIGSTOP)
    time.sleep(0.7)
    job.kill(1, signal.SIGCONT)
    again = job.wait()
    found = [one.get("digests") for one in job.said()]
    job.clear()
    return {"status": status, "said": said, "was_stopped": was_stopped, "again": again, "digests": found}


def main() -> None:
    native.set_threads(1)
    torch.set_num_threads(1)
    planned()
    folder, seed, kills = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    print(json.dumps({"killed": killed(folder, seed, kills), "stopped": stopped(folder)}))


if __name__ == "__main__":
    main()
