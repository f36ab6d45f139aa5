"""The planner's search around its choices: packings, chunks of babies, meshes; each evaluated exactly."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from aegis_fhe.errors import LayoutError, LevelError
from aegis_fhe.placement.choose.prices import Prices
from aegis_fhe.placement.choose.trials import Planned, Trials, undominated
from aegis_fhe.placement.evaluate import Evaluation
from aegis_fhe.placement.facts import Seen
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.strategies.tokens import packings, whole
from aegis_fhe.placement.workload import Workload
from aegis_fhe.program.long.shape_program import Packing, ShapeProgram

# Another mesh or packing is worth a look if what it computes, evenly shared, could be so much faster.
GAIN = 1.02
# Of one packing's front, evenly in log bytes.
POINTS = 12


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
        objective = self.workload.objective
        for trials in self._trials(lambda mesh: objective == "bytes"):
            for found in self._noticed(trials, trials.best(objective)):
                yield found.evaluation

    def front(self) -> list[Planned]:
        """What fits and is not beaten in both bytes and seconds, from the fastest on.

        Of each packing's own front at most POINTS are evaluated; all packings on M = 1, other M as above.
        """
        found = [
            one
            for trials in self._trials(lambda mesh: mesh.limbs == 1)
            for one in self._noticed(trials, trials.front(POINTS))
            if trials.fits(one)
        ]
        return undominated(found)

    def _trials(self, always: Callable[[Mesh], bool]) -> Iterator[Trials]:
        for limbs in _divisors(self.workload.devices):
            mesh = Mesh(tokens=self.workload.devices // limbs, limbs=limbs)
            found = [
                prices for packing in self._packings(mesh.tokens) for prices in self._prices(packing, mesh)
            ]
            for packing, prices in sorted(found, key=lambda pair: pair[1].total):
                if always(mesh) or prices.total / mesh.tokens < GAIN * self.fastest:
                    yield Trials(self.workload, packing, prices)

    def _noticed(self, trials: Trials, planned: Iterator[Planned]) -> Iterator[Planned]:
        for one in planned:
            if trials.fits(one):
                self.fastest = min(self.fastest, one.evaluation.timeline.seconds)
            yield one

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
