"""The planner's search around its choices: packings, chunks of babies, meshes; each evaluated exactly."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from aegis_fhe.errors import LayoutError, LevelError
from aegis_fhe.placement.choose.bound import Bounds, total
from aegis_fhe.placement.choose.prices import Prices
from aegis_fhe.placement.choose.runs import runs_of
from aegis_fhe.placement.choose.trials import CHUNKS, Planned, Trials, undominated
from aegis_fhe.placement.evaluate import Evaluation, evaluate
from aegis_fhe.placement.facts import GraphFacts, Seen, graph_facts
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.node_seconds import ComputeSeconds
from aegis_fhe.placement.peak_memory import peak_memory
from aegis_fhe.placement.planner import Cost
from aegis_fhe.placement.strategies import BABIES, Rendering
from aegis_fhe.placement.strategies.tokens import packings, whole
from aegis_fhe.placement.workload import Workload
from aegis_fhe.program.long.divide import Division
from aegis_fhe.program.long.shape_program import Packing, ShapeProgram

# A mesh and packing is worth a look if its bound is below the fastest plan so far times this.
GAIN = 1.02
# Bounds fall with the size of token blocks, then rise: what has risen so much is not looked at any further.
RISING = 1.05
# Attention by blocks of queries, keys and values turned once for all.
QUERIES = Division(queries=True, babies=True, heads=1)
# Of one packing's front, evenly in log bytes.
POINTS = 12


@dataclass
class Planning:
    """program: of a packing, undivided; seen: what nodes do in it whose limbs lie so."""

    workload: Workload
    program: Callable[[Packing], ShapeProgram]
    seen: Callable[[LimbPlacement, ShapeProgram], Seen]
    fastest: float = math.inf
    leanest: float = math.inf
    facts: dict[Packing, GraphFacts] = field(default_factory=dict)
    bounds: dict[tuple[LimbPlacement, int], Bounds] = field(default_factory=dict)
    tried: set[tuple[Packing, Mesh]] = field(default_factory=set)

    def evaluations(self) -> Iterator[Evaluation]:
        """The best choice of every packing and mesh that is worth a look, exactly as it would run."""
        objective = self.workload.objective
        worth = self._may_move_less if objective == "bytes" else self._may_be_faster
        for near in (RISING, math.inf) if objective == "time" else (math.inf,):
            for trials in self._trials(lambda mesh, bound: worth(bound), near):
                for found in self._noticed(trials, trials.best(objective, worth)):
                    yield found.evaluation
            if self.fastest < math.inf:
                return
        yield from (one.evaluation for one in self._tight())

    def front(self) -> list[Planned]:
        """What fits and is not beaten in both bytes and seconds, from the fastest on.

        Of each packing's own front at most POINTS are evaluated; all packings on M = 1, other M where they
        may be faster.
        """

        def worth(mesh: Mesh, bound: Cost) -> bool:
            return mesh.limbs == 1 or self._may_be_faster(bound)

        found = [
            one
            for trials in self._trials(worth)
            for one in self._noticed(trials, trials.front(POINTS))
            if trials.fits(one)
        ]
        return undominated(found or list(self._tight()))

    def shared_by_limbs(self) -> Iterator[Rendering]:
        """Limbs of everything on all devices, keys too, scores as a stream: what takes the least memory.

        Every operator has one way, so little is left to choose: whether attention takes one block of queries
        after the other, of which fewer are then held with their sums, or, where queries at all giant steps
        are few, keys and values in chunks. Babies as many as they like to be.
        """
        w, mesh = self.workload, Mesh(limbs=self.workload.devices)
        for packing in packings(w.bootstrap.params.slots, w.tokens):
            whole = f"T{packing.block_tokens}" + (f" M{mesh.limbs}" if mesh.limbs > 1 else "")
            variants = {f"{whole} queries": QUERIES, whole: Division()}
            if self._few_queries(packing):
                variants[f"{whole} x{CHUNKS[-1]}"] = Division(chunks=CHUNKS[-1])
            for variant, division in variants.items():
                yield Rendering(
                    strategy="aegis",
                    variant=variant,
                    packing=packing,
                    division=division,
                    mesh=mesh,
                    limbs=self._limbs(mesh),
                    rule=lambda node: (0,),
                )

    def _few_queries(self, packing: Packing) -> bool:
        """Whether one block's, turned for all giant steps, are no more than the fewest babies ever held."""
        try:
            scores = self.program(packing).plan.scores(0)
        except (LayoutError, LevelError):
            return False
        few = BABIES[-1]
        return few is not None and scores.giants * scores.columns <= few

    def _tight(self) -> Iterator[Planned]:
        """Those of `shared_by_limbs` that fit, with as many babies as fit."""
        limit = self.workload.memory_bytes
        for rendering in self.shared_by_limbs():
            for one in map(rendering.with_babies, BABIES):
                try:
                    program = self.program(one.packing)
                except (LayoutError, LevelError):
                    break
                if peak_memory(one, program).total <= limit:
                    seen = self.seen(one.limbs, program)
                    ways = {run.name: "whole" for run in runs_of(program.graph)}
                    found = evaluate(one, program, self.workload.machine, seen)
                    yield Planned(evaluation=found, ways=ways, chunks=1)
                    break

    def _trials(self, worth: Callable[[Mesh, Cost], bool], near: float = math.inf) -> Iterator[Trials]:
        """Every packing and mesh T x M, the most promising first, while it is worth a look, each once.

        near: smaller token blocks are not looked at once one's bound is so many times that of larger ones.
        """
        devices, params = self.workload.devices, self.workload.bootstrap.params
        # More devices than limbs would have nothing to compute.
        most = len(params.q) + len(params.p)
        meshes = [Mesh(tokens=devices // m, limbs=m) for m in _divisors(devices) if m <= most]
        bounded = [(*one, mesh) for mesh in meshes for one in self._bounded(mesh, near)]
        for bound, packing, mesh in sorted(bounded, key=lambda entry: total(entry[0].values()).seconds):
            if (packing, mesh) not in self.tried and worth(mesh, total(bound.values())):
                self.tried.add((packing, mesh))
                yield Trials(self.workload, packing, self._prices(packing, mesh), bound)

    def _bounded(self, mesh: Mesh, near: float) -> Iterator[tuple[Mapping[str, Cost], Packing]]:
        least = math.inf
        for packing in self._packings(mesh.tokens):
            bound = self._bound(packing, mesh)
            yield bound, packing
            seconds = total(bound.values()).seconds
            if seconds > near * least:
                return
            least = min(least, seconds)

    def _may_be_faster(self, bound: Cost) -> bool:
        return bound.seconds < GAIN * self.fastest

    def _may_move_less(self, bound: Cost) -> bool:
        return bound.bytes < GAIN * self.leanest

    def _noticed(self, trials: Trials, planned: Iterator[Planned]) -> Iterator[Planned]:
        for one in planned:
            if trials.fits(one):
                seconds, moved = one.cost
                self.fastest, self.leanest = min(self.fastest, seconds), min(self.leanest, moved)
            yield one

    def _bound(self, packing: Packing, mesh: Mesh) -> Mapping[str, Cost]:
        """By run, with the fewest rotations."""
        fewest = replace(packing, giant_steps=None)
        program, machine, limbs = self.program(fewest), self.workload.machine, self._limbs(mesh)
        params, key = program.bootstrap.params, (limbs, program.plan.layout.sub_slots)
        if key not in self.bounds:
            computing = ComputeSeconds(params, machine.device, *key)
            self.bounds[key] = Bounds(params, limbs, computing, machine.network)
        return self.bounds[key].of(program.graph, self._facts(fewest), mesh.tokens)

    def _prices(self, packing: Packing, mesh: Mesh) -> Prices:
        machine, program, limbs = self.workload.machine, self.program(packing), self._limbs(mesh)
        seen, team = (self.seen(p, program) for p in (limbs, MeshLimbs(mesh, limbs).team))
        symbols = self._facts(packing).symbols
        return Prices(program, mesh, limbs, machine.device, machine.network, seen, team, symbols)

    def _facts(self, packing: Packing) -> GraphFacts:
        """Of the program, undivided, on one device: what it computes is the same however limbs lie."""
        if packing not in self.facts:
            program = self.program(packing)
            seen = self.seen(whole(program.bootstrap.params), program)
            self.facts[packing] = graph_facts(program.graph, program.context, program.symbols, seen)
        return self.facts[packing]

    def _limbs(self, mesh: Mesh) -> LimbPlacement:
        """Of one group."""
        limbs = whole(self.workload.bootstrap.params)
        return replace(limbs, world_size=mesh.limbs, placed="split") if mesh.limbs > 1 else limbs

    def _packings(self, groups: int) -> Iterator[Packing]:
        """Large token blocks, some with one for every group; giant steps that groups share evenly.

        Those that some choice of bootstraps carries.
        """
        w, found = self.workload, set[int]()
        slots = w.bootstrap.params.slots
        for packing in (*packings(slots, w.tokens), *packings(slots, w.tokens, groups)):
            size = packing.block_tokens
            assert size is not None
            if size in found:
                continue
            found.add(size)
            try:
                yield replace(packing, giant_steps=self._giant_steps(packing, groups))
            except (LayoutError, LevelError):
                continue

    def _giant_steps(self, packing: Packing, groups: int) -> int | None:
        """Near the number with the fewest rotations, one that groups share evenly; full steps if possible."""
        scores = self.program(packing).plan.scores(0)
        if scores.giants % groups == 0 or scores.count < groups:
            return None
        multiples = range(groups, scores.count + 1, groups)
        even = [g for g in multiples if scores.count % g == 0 and 1 / 2 < g / scores.giants < 2]
        return min(even or multiples, key=lambda g: abs(math.log(g / scores.giants)))


def _divisors(count: int) -> list[int]:
    return [m for m in range(1, count + 1) if count % m == 0]
