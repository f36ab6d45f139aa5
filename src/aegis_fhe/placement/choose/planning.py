"""The planner's search around its choices: packings, chunks of babies, meshes; each evaluated exactly."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from aegis_fhe.errors import LayoutError, LevelError
from aegis_fhe.placement.choose.choose import Choices
from aegis_fhe.placement.choose.prices import Prices
from aegis_fhe.placement.evaluate import Evaluation, evaluate
from aegis_fhe.placement.facts import Seen
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.strategies.tokens import packings, whole
from aegis_fhe.placement.workload import Workload
from aegis_fhe.program.long.shape_program import Packing, ShapeProgram

# Of attention's babies: more of them take less memory and more ModUps.
CHUNKS = (1, 2, 3, 4, 6, 8, 10, 12, 16, 24, 32)
# Another mesh or packing is worth a look if what it computes, evenly shared, could be so much faster.
GAIN = 1.02


@dataclass
class Planning:
    """program: of a packing, undivided; seen: what nodes do in it whose limbs lie so."""

    workload: Workload
    program: Callable[[Packing], ShapeProgram]
    seen: Callable[[LimbPlacement, ShapeProgram], Seen]
    fastest: float = math.inf

    def evaluations(self) -> Iterator[Evaluation]:
        """The best choice of every packing and mesh that is worth a look, exactly as it would run.

        Meshes from whole ciphertexts (M = 1) to all limbs shared: sharing limbs never computes less in all,
        so larger M are looked at where nothing fits, or where an even share would take less time.
        """
        for limbs in _divisors(self.workload.devices):
            mesh = Mesh(tokens=self.workload.devices // limbs, limbs=limbs)
            found = [
                prices for packing in self._packings(mesh.tokens) for prices in self._prices(packing, mesh)
            ]
            for packing, prices in sorted(found, key=lambda pair: pair[1].total):
                bound = prices.total / mesh.tokens
                if self.workload.objective == "bytes" or bound < GAIN * self.fastest:
                    yield from self._of(packing, prices)

    def _prices(self, packing: Packing, mesh: Mesh) -> Iterator[tuple[Packing, Prices]]:
        """None for a packing that no choice of bootstraps carries."""
        machine = self.workload.machine
        try:
            program = self.program(packing)
        except (LayoutError, LevelError):
            return
        limbs = whole(program.bootstrap.params)
        if mesh.limbs > 1:
            limbs = replace(limbs, world_size=mesh.limbs, placed="split")
        seen, team = (self.seen(p, program) for p in (limbs, MeshLimbs(mesh, limbs).team))
        yield packing, Prices(program, mesh, limbs, machine.device, machine.network, seen, team)

    def _of(self, packing: Packing, prices: Prices) -> Iterator[Evaluation]:
        """With the fewest chunks that fit, by bisection: more of them take less memory."""
        fewest, most = 0, len(CHUNKS) - 1
        while fewest <= most:
            middle = (fewest + most) // 2
            found = self._in_chunks(packing, prices, CHUNKS[middle])
            yield found
            if found.memory.total <= self.workload.memory_bytes:
                self.fastest, most = min(self.fastest, found.timeline.seconds), middle - 1
            elif found.memory.keys > self.workload.memory_bytes:
                return  # so are they in any number of chunks
            else:
                fewest = middle + 1

    def _in_chunks(self, packing: Packing, prices: Prices, chunks: int) -> Evaluation:
        choices, w = Choices.of(prices, packing, chunks), self.workload
        variant = f"T{packing.block_tokens} x{chunks}"
        if prices.mesh.limbs > 1:
            variant += f" M{prices.mesh.limbs}"
        rendering = choices.rendering(choices.best(w.objective), variant)
        return evaluate(rendering, prices.program, w.machine, prices.seen, prices.team_seen)

    def _packings(self, groups: int) -> Iterator[Packing]:
        """Large token blocks, some with one for every group; giant steps that groups share evenly."""
        w, found = self.workload, set[int]()
        slots = w.bootstrap.params.slots
        for packing in (*packings(slots, w.tokens), *packings(slots, w.tokens, groups)):
            size = packing.block_tokens
            assert size is not None
            if size in found:
                continue
            found.add(size)
            yield replace(packing, giant_steps=self._giant_steps(packing, groups))

    def _giant_steps(self, packing: Packing, groups: int) -> int | None:
        """Near the number with the fewest rotations, one that groups share evenly; full steps if possible."""
        try:
            scores = self.program(packing).plan.scores(0)
        except (LayoutError, LevelError):
            return None
        if scores.giants % groups == 0 or scores.count < groups:
            return None
        multiples = range(groups, scores.count + 1, groups)
        even = [g for g in multiples if scores.count % g == 0 and 1 / 2 < g / scores.giants < 2]
        return min(even or multiples, key=lambda g: abs(math.log(g / scores.giants)))


def _divisors(count: int) -> list[int]:
    return [m for m in range(1, count + 1) if count % m == 0]
