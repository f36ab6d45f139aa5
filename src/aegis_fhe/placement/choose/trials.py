"""Choices of one packing on one mesh, each evaluated exactly: the best, or points of a front."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from aegis_fhe.placement.choose.choose import Choices
from aegis_fhe.placement.choose.prices import Prices
from aegis_fhe.placement.evaluate import Evaluation, evaluate
from aegis_fhe.placement.planner import Choice
from aegis_fhe.placement.workload import Objective, Workload
from aegis_fhe.program.long.shape_program import Packing

# Of attention's babies: more of them take less memory and more ModUps.
CHUNKS = (1, 2, 3, 4, 6, 8, 10, 12, 16, 24, 32)


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A choice as it would run. ways: by operator; chunks: of attention's babies."""

    evaluation: Evaluation
    ways: Mapping[str, str]
    chunks: int

    @property
    def cost(self) -> tuple[float, float]:
        """Seconds, and bytes of the device that receives most."""
        return self.evaluation.timeline.seconds, float(self.evaluation.traffic.most)


@dataclass
class Trials:
    """Nothing is chosen or evaluated twice."""

    workload: Workload
    packing: Packing
    prices: Prices
    choices: dict[int, Choices] = field(default_factory=dict)
    planned: dict[tuple[int, tuple[int, ...]], Planned] = field(default_factory=dict)

    def best(self, objective: Objective) -> Iterator[Planned]:
        """With the fewest chunks that fit, by bisection: more of them take less memory."""
        fewest, most = 0, len(CHUNKS) - 1
        while fewest <= most:
            middle = (fewest + most) // 2
            found = self._plan(CHUNKS[middle], self._choices(CHUNKS[middle]).best(objective))
            yield found
            if self.fits(found):
                most = middle - 1
            elif found.evaluation.memory.keys > self.workload.memory_bytes:
                return  # so are they in any number of chunks
            else:
                fewest = middle + 1

    def front(self, most: int) -> Iterator[Planned]:
        """Points of the front in as few chunks as each of its ends fits with; nothing where neither fits."""
        ends = [[p for p in self.best(objective) if self.fits(p)] for objective in _ENDS]
        for chunks in sorted({min(p.chunks for p in fitting) for fitting in ends if fitting}):
            for choice in self._choices(chunks).front(most):
                yield self._plan(chunks, choice)

    def fits(self, found: Planned) -> bool:
        """Into the memory of a device."""
        return found.evaluation.memory.total <= self.workload.memory_bytes

    def _choices(self, chunks: int) -> Choices:
        if chunks not in self.choices:
            self.choices[chunks] = Choices.of(self.prices, self.packing, chunks)
        return self.choices[chunks]

    def _plan(self, chunks: int, choice: Choice) -> Planned:
        key = chunks, choice.options
        if key not in self.planned:
            choices, prices = self._choices(chunks), self.prices
            rendering = choices.rendering(choice, self._variant(chunks))
            machine = self.workload.machine
            found = evaluate(rendering, prices.program, machine, prices.seen, prices.team_seen)
            self.planned[key] = Planned(evaluation=found, ways=choices.names(choice), chunks=chunks)
        return self.planned[key]

    def _variant(self, chunks: int) -> str:
        limbs = self.prices.mesh.limbs
        return f"T{self.packing.block_tokens} x{chunks}" + (f" M{limbs}" if limbs > 1 else "")


_ENDS: tuple[Objective, ...] = ("time", "bytes")


def undominated(planned: list[Planned]) -> list[Planned]:
    """Those that no other one equals or beats in both seconds and bytes, from the fastest on."""
    kept: list[Planned] = []
    for one in sorted(planned, key=lambda p: p.cost):
        if not kept or one.cost[1] < kept[-1].cost[1]:
            kept.append(one)
    return kept
