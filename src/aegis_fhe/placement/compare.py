"""Strategies side by side: of each its best rendering that fits, against the best program of one device."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from aegis_fhe.errors import CapacityError, LayoutError, LevelError
from aegis_fhe.placement.ablation import Ablation, ablation
from aegis_fhe.placement.choose import Planned, Planning
from aegis_fhe.placement.evaluate import Evaluation, evaluate
from aegis_fhe.placement.explain import Explanation, explain
from aegis_fhe.placement.facts import Seen, nothing_seen
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.one_device import OneDevice
from aegis_fhe.placement.strategies import (
    BABIES,
    Rendering,
    limb_parallel,
    replicated,
    single,
    tensor_parallel,
    token,
)
from aegis_fhe.placement.workload import Workload
from aegis_fhe.program.long.shape_program import Packing, ShapeProgram

# The strategy that the planner makes, operator by operator.
AEGIS = "aegis"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The best rendering that fits, or of those that do not the one that lacks least."""

    best: Evaluation
    fits: bool
    tried: int


@dataclass
class Comparison:
    """Evaluates renderings of one workload; programs and what nodes do are kept."""

    workload: Workload
    programs: dict[Packing, ShapeProgram] = field(default_factory=dict)
    seen: dict[tuple[LimbPlacement, int], Seen] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Of all strategies."""
        return [*self.strategies(), AEGIS]

    def strategies(self) -> Mapping[str, Callable[[], Iterator[Rendering]]]:
        """Their renderings, by name."""
        w = self.workload
        params, tokens, shape, devices = w.bootstrap.params, w.tokens, w.shape, w.devices
        return {
            "single": lambda: single(params, tokens),
            "limb_parallel": lambda: limb_parallel(params, tokens, devices),
            "replicated": lambda: replicated(shape, params, tokens, devices),
            "tensor_parallel": lambda: tensor_parallel(shape, params, tokens, devices),
            "token": lambda: token(params, tokens, devices),
        }

    def verdict(self, name: str) -> Verdict:
        """Raises CapacityError when a strategy has no rendering of this workload at all."""
        if name == AEGIS:
            found = list(Planning(self.workload, self.program, self.seen_by).evaluations())
        else:
            found = [e for r in self.strategies()[name]() for e in self._evaluations(r)]
        if not found:
            raise CapacityError(
                f"{name} cannot share {self.workload.tokens} tokens among {self.workload.devices} devices"
            )
        limit = self.workload.memory_bytes
        fitting = [e for e in found if e.memory.total <= limit]
        best = min(fitting, key=self.cost) if fitting else min(found, key=lambda e: e.memory.total)
        return Verdict(best=best, fits=bool(fitting), tried=len(found))

    @cached_property
    def one_device(self) -> OneDevice:
        """Of all renderings of `single`, and of all that the planner makes of one device."""
        free = replace(self.workload, devices=1, memory_bytes=sys.maxsize, objective="time")
        found = [
            evaluate(one, program, free.machine, self.seen_by(one.limbs, program))
            for one in single(free.bootstrap.params, free.tokens)
            if (program := self.carried(one.packing)) is not None
        ]
        planned = Planning(free, self.program, self.seen_by).evaluations()
        alone = min(found, key=_seconds)
        return OneDevice(fastest=min([alone, *planned], key=_seconds), single=alone)

    def front(self) -> list[Planned]:
        """Between the time and the bytes of the strategy AEGIS; empty when nothing fits."""
        return Planning(self.workload, self.program, self.seen_by).front()

    def explain(self, found: Evaluation) -> list[Explanation]:
        """Every collective that remains in one of its evaluations."""
        return explain(found, self.program(found.rendering.packing), self.workload.machine)

    def ablation(self, found: Evaluation) -> Ablation:
        """What hides the exchanges of one of its evaluations."""
        rendering, program = found.rendering, self.program(found.rendering.packing)
        team = self.seen_by(MeshLimbs(rendering.mesh, rendering.limbs).team, program)
        return ablation(found, program, self.seen_by(rendering.limbs, program), team)

    def cost(self, found: Evaluation) -> tuple[float, float]:
        """What is to be least, and what decides among equals."""
        time, moved = found.timeline.seconds, float(found.traffic.most)
        return (time, moved) if self.workload.objective == "time" else (moved, time)

    def _evaluations(self, rendering: Rendering) -> Iterator[Evaluation]:
        """With as many babies as fit: fewer take more rotations, so the first that fits is the best."""
        for most in BABIES:
            one = rendering.with_babies(most)
            program = self.carried(one.packing)
            if program is None:
                return
            found = evaluate(one, program, self.workload.machine, self.seen_by(one.limbs, program))
            yield found
            if found.memory.total <= self.workload.memory_bytes:
                return

    def seen_by(self, limbs: LimbPlacement, program: ShapeProgram) -> Seen:
        """What nodes did whose limbs lie so, in programs of the same context."""
        key = limbs, program.plan.layout.sub_slots
        return self.seen.setdefault(key, nothing_seen(program.bootstrap.params, limbs))

    def program(self, packing: Packing) -> ShapeProgram:
        """The layer in a packing, undivided. Raises LayoutError, LevelError."""
        if packing not in self.programs:
            w = self.workload
            self.programs[packing] = ShapeProgram.of(
                w.shape, w.bootstrap, tokens=w.tokens, packing=packing, degrees=w.degrees, most_scores=0
            )
        return self.programs[packing]

    def carried(self, packing: Packing) -> ShapeProgram | None:
        """As `program`, None where no choice of bootstraps carries it."""
        try:
            return self.program(packing)
        except (LayoutError, LevelError):
            return None


def _seconds(found: Evaluation) -> float:
    return found.timeline.seconds
