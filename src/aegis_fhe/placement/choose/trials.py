"""Choices of one packing on one mesh, each evaluated exactly: the best, or points of a front."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from aegis_fhe.placement.choose.choose import Choices
from aegis_fhe.placement.choose.prices import Prices
from aegis_fhe.placement.evaluate import Evaluation, evaluate
from aegis_fhe.placement.planner import Choice, Cost
from aegis_fhe.placement.workload import Objective, Workload
from aegis_fhe.program.long.shape_program import Packing

# Of attention's babies: more of them take less memory and more ModUps.
CHUNKS = (1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64)
# Where the search begins: mostly near the fastest, for smaller chunks arrive earlier.
FIRST = 8


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

    def better(self, objective: Objective) -> tuple[float, float]:
        """What is to be least, and what decides among equals."""
        seconds, moved = self.cost
        return (seconds, moved) if objective == "time" else (moved, seconds)

    def worse_than(self, other: Planned, objective: Objective) -> bool:
        """By more than the rounding of sums in another order."""
        pairs = zip(self.better(objective), other.better(objective), strict=True)
        differ = [own > before for own, before in pairs if not math.isclose(own, before)]
        return bool(differ) and differ[0]


@dataclass
class Trials:
    """Nothing is chosen or evaluated twice. bounds: of each run, where one asks what is worth a choice."""

    workload: Workload
    packing: Packing
    prices: Prices
    bounds: Mapping[str, Cost] = field(default_factory=dict)
    choices: dict[int, Choices] = field(default_factory=dict)
    planned: dict[tuple[int, tuple[int, ...]], Planned] = field(default_factory=dict)

    def best(self, objective: Objective, worth: Callable[[Cost], bool] | None = None) -> Iterator[Planned]:
        """From FIRST chunks on: where it fits, fewer while that is no worse; else the fewest more that fit.

        worth: asked with what the first choice costs, at the least and by its prices; nothing is evaluated
        where it says no.
        """
        at, first = CHUNKS.index(FIRST), self._choices(FIRST)
        if worth is not None and not all(map(worth, first.floors(self.bounds))):
            return
        choice = first.best(objective)
        if worth is not None and not worth(choice.cost):
            return
        found = self._plan(FIRST, choice)
        yield found
        if not self.fits(found):
            if found.evaluation.memory.keys <= self.workload.memory_bytes:  # so are they in any number
                yield from self._more(objective, at + 1)
            return
        for chunks in reversed(CHUNKS[:at]):
            before, found = found, self._plan(chunks, self._choices(chunks).best(objective))
            yield found
            if not self.fits(found) or found.worse_than(before, objective):
                return

    def _more(self, objective: Objective, fewest: int) -> Iterator[Planned]:
        """By bisection: more chunks take less memory and more ModUps."""
        most = len(CHUNKS) - 1
        while fewest <= most:
            middle = (fewest + most) // 2
            found = self._plan(CHUNKS[middle], self._choices(CHUNKS[middle]).best(objective))
            yield found
            if self.fits(found):
                most = middle - 1
            else:
                fewest = middle + 1

    def front(self, most: int) -> Iterator[Planned]:
        """Points of the front, in as many chunks as each end is best with; none where neither fits."""
        for chunks in self.best_chunks():
            for choice in self._choices(chunks).front(most):
                yield self._plan(chunks, choice)

    def best_chunks(self) -> list[int]:
        """Those with which the fastest and the leanest plan that fits are best."""
        found = set[int]()
        for objective in _ENDS:
            fitting = [one for one in self.best(objective) if self.fits(one)]
            found.update(one.chunks for one in sorted(fitting, key=lambda p: p.better(objective))[:1])
        return sorted(found)

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
