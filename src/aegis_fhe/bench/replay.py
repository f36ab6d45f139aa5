"""How much faster several devices would compute one encrypted layer, from each one's share measured here.

One device takes the part of every rank of a plan in turn, by itself (`runtime.mesh.replay`). Computing and
memory are measured; how devices wait for each other and for links is projected, with the schedule's model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import median
from typing import Any

from aegis_fhe.bench.device_calibration import clock
from aegis_fhe.bench.planned_run import DrawnProgram
from aegis_fhe.bench.ring_benchmark import threads_set
from aegis_fhe.bench.scaling import Say
from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.keys import EvaluationKeys
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ckks.secret import SecretKey, encapsulation_keys, encrypt, evaluation_keys
from aegis_fhe.ckks.slots import SlotVector
from aegis_fhe.placement.evaluate import STAGES, in_stage
from aegis_fhe.placement.replayed_seconds import efficiency, replayed_seconds
from aegis_fhe.placement.shape_memory import DeviceMemory
from aegis_fhe.placement.timeline import Timeline
from aegis_fhe.placement.traffic import Key
from aegis_fhe.runtime.mesh.replay import replay_rank
from aegis_fhe.service.plan_session import check_bytes


@dataclass(frozen=True, kw_only=True)
class RankRun:
    """One replay of one rank. seconds: of its nodes by name; written_seconds: of writing what it received,
    in none of them; received: as `Traffic.received`; sent_bytes: over all axes; held: at its fullest moment.
    """

    seconds: Mapping[str, float]
    written_seconds: float
    received: Mapping[Key, int]
    sent_bytes: int
    held: DeviceMemory

    @property
    def computing(self) -> float:
        """Seconds of all nodes."""
        return sum(self.seconds.values())


@dataclass(eq=False)
class ReplayedWorld:
    """A plan, with keys and ciphertexts for it. kernels: the path that ranks compute on, by default the best.
    runs: of each turn every rank.
    """

    drawn: DrawnProgram
    kernels: str | None = None
    runs: list[list[RankRun]] = field(default_factory=list)

    @property
    def devices(self) -> int:
        """How many the plan is for."""
        return self.drawn.stored.devices

    @cached_property
    def keys(self) -> EvaluationKeys:
        """Whole, of which each rank holds its rows."""
        layer = self.drawn.layer
        assert layer.bootstrap is not None, "a layer without bootstraps has no plan"
        sparse = encapsulation_keys(self._secret, layer.bootstrap.weight)
        return EvaluationKeys.collect(
            layer.params, evaluation_keys(self._secret, layer.key_requests()), sparse
        )

    @cached_property
    def inputs(self) -> dict[str, Ciphertext]:
        """Of the drawn text, whole."""
        layer = self.drawn.layer
        return {
            name: encrypt(self._secret, SlotVector(values), level=layer.input_level).expand(layer.params)
            for name, values in layer.pack(self.drawn.drawn.hidden).items()
        }

    @cached_property
    def _secret(self) -> SecretKey:
        return SecretKey.generate(self.drawn.layer.params)

    def run(self, *, threads: int, say: Say) -> None:
        """Every rank once more. Raises LedgerError where it received other bytes than were predicted."""
        with threads_set(threads):
            found = [self._replayed(rank, threads, say) for rank in range(self.devices)]
        check_bytes(self.drawn.planned.prediction.traffic.received, [one.received for one in found])
        self.runs.append(found)

    def _replayed(self, rank: int, threads: int, say: Say) -> RankRun:
        """With a ring, and so an arena, of its own, which is gone when it returns; by the clock by which
        kernels are priced, which for one thread is the processor's.
        """
        layer, stored = self.drawn.layer, self.drawn.stored
        params = replace(Parameters.from_dict(layer.params.to_dict()), kernel_path=self.kernels)
        device = params.ring.device
        found = replay_rank(
            self.drawn.planned.mesh,
            params,
            self.keys,
            rank,
            self.inputs,
            layer.context(stored.tokens),
            reserved_bytes=stored.memory["activations"] + stored.memory["workspace"],
            device=device,
            now=clock(threads, device),
        )
        run = RankRun(
            seconds=found.node_seconds,
            written_seconds=found.written_seconds,
            received=found.communicators.received(),
            sent_bytes=found.sent_bytes,
            held=found.execution.held,
        )
        say(
            f"rank {rank} of {self.devices}: computed {run.computing:.2f} s, held "
            f"{run.held.total / 2**30:.2f} GiB"
        )
        return run

    @property
    def node_seconds(self) -> list[dict[str, float]]:
        """Of each rank its nodes', medians over turns."""
        return [
            {name: median(run.seconds[name] for run in turns) for name in turns[0].seconds}
            for turns in zip(*self.runs, strict=True)
        ]

    @property
    def projected(self) -> list[Timeline]:
        """Of every group, its nodes as measured, over the links that the plan was made for."""
        planned = self.drawn.planned
        seconds = replayed_seconds(planned.prediction.plan, self.node_seconds)
        return planned.timelines_with(seconds, planned.machine.network)

    def facts(self) -> dict[str, Any]:
        """seconds, waiting, stages: projected, of the group that is last, beside what is predicted of it; the
        others by rank: computing and written seconds measured, medians over turns; bytes and memory, which
        are those of every turn.
        """
        planned, every = self.drawn.planned, self.projected
        last = max(range(len(every)), key=lambda group: every[group].seconds)
        found, predicted = every[last], planned.timelines[last]
        mesh = planned.mesh.schedule.mesh
        return {
            "devices": self.devices,
            "rendering": self.drawn.stored.variant,
            "mesh": [mesh.tokens, mesh.limbs],
            "link": planned.machine.network.name,
            "seconds": found.seconds,
            "predicted_seconds": max(one.seconds for one in planned.timelines),
            "waiting": sum(found.exposed.values()) / found.seconds,
            "predicted_waiting": sum(predicted.exposed.values()) / predicted.seconds,
            "computing": [sum(own.values()) for own in self.node_seconds],
            "written_seconds": [
                median(run.written_seconds for run in own) for own in zip(*self.runs, strict=True)
            ],
            "stages": {
                name: {
                    "seconds": in_stage(found.busy, name),
                    "predicted_seconds": in_stage(predicted.busy, name),
                }
                for name in STAGES
            },
            "received_bytes": [sum(run.received.values()) for run in self.runs[0]],
            "sent_bytes": [run.sent_bytes for run in self.runs[0]],
            "held_bytes": [run.held.by_kind() for run in self.runs[0]],
            "predicted_held_bytes": [one.by_kind() for one in planned.memories],
        }


def measure_replays(worlds: Sequence[ReplayedWorld], *, runs: int, threads: int, say: Say) -> dict[str, Any]:
    """`runs` replays of every rank of every world, in turn; the first world is of one device.

    speedup: T(1) / T(G); efficiency: T(1) / (G T(G)); both projected, by number of devices.
    """
    for turn in range(runs):
        for world in worlds:
            say(f"run {turn + 1} of {runs}, {world.devices} device(s), one after the other")
            world.run(threads=threads, say=say)
    facts = [world.facts() for world in worlds]
    alone = facts[0]["seconds"]
    return {
        "threads": threads,
        "runs": runs,
        "worlds": facts,
        "speedup": {str(one["devices"]): alone / one["seconds"] for one in facts},
        "efficiency": {
            str(one["devices"]): efficiency(alone, one["devices"], one["seconds"]) for one in facts
        },
    }
