"""A rendering in numbers: exact bytes, predicted seconds and memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from aegis_fhe.placement.cost import DeviceModel, Network
from aegis_fhe.placement.facts import GraphFacts, Seen
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.node_seconds import FormSeconds
from aegis_fhe.placement.prediction import schedule_facts
from aegis_fhe.placement.schedule import Schedule, schedule
from aegis_fhe.placement.shape_memory import DeviceMemory, fullest_memory
from aegis_fhe.placement.strategies import Rendering
from aegis_fhe.placement.timeline import Timeline, simulate
from aegis_fhe.placement.traffic import Traffic, predict_traffic
from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.shape_program import ShapeProgram

# What a report calls the stages of a layer's graph.
STAGES = {
    "attention": ("input", "qkv", "normalise", "attend", "divide", "output"),
    "ffn": ("expand", "activate", "contract"),
    "norms": ("first norm", "second norm"),
    "bootstraps": ("refresh",),
}


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The devices of a plan and what is between them."""

    device: DeviceModel
    network: Network


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One layer of one rendering. seconds: of each node, on a device of its group or the team. timeline: with
    exchanges that overlap computing as far as the order of nodes lets them. memory: of the fullest device.
    """

    rendering: Rendering
    machine: Machine
    degree: int
    plan: Schedule
    facts: GraphFacts
    seconds: Callable[[Node], float]
    traffic: Traffic
    timeline: Timeline
    memory: DeviceMemory

    @cached_property
    def blocking(self) -> Timeline:
        """As if every round waited for its exchanges, for comparison."""
        limbs, network = self.rendering.limbs, self.machine.network
        return simulate(self.plan, self.facts, self.seconds, network, limbs, self.degree, moving="blocking")

    def received(self, stage: str) -> int:
        """Bytes of a reported stage, on the device that receives most of it."""
        own = STAGES[stage]
        return max(
            sum(count for (_, name, _), count in one.items() if name in own) for one in self.traffic.received
        )

    def collectives(self, stage: str) -> Counter[str]:
        """How many exchanges of each kind there are between groups, and in the group with most of them."""
        own = STAGES[stage]
        between = Counter(e.kind for r in self.plan.rounds for e in r.exchanges if e.stage in own)
        inside = (
            Counter(
                collective.operation
                for node in self.plan.nodes_of(group)
                if node.stage in own
                for collective in self.facts.nodes[node.name].collectives
            )
            for group in range(self.plan.mesh.tokens)
        )
        return max(inside, key=Counter.total) + Counter[str](between)


def in_stage(seconds: Mapping[str, float], stage: str) -> float:
    """Of a reported stage, from those of the graph's."""
    return sum(seconds.get(name, 0.0) for name in STAGES[stage])


def evaluate(
    rendering: Rendering,
    program: ShapeProgram,
    machine: Machine,
    seen: Seen | None = None,
    team_seen: Seen | None = None,
) -> Evaluation:
    """program: of the rendering's packing, undivided. seen, team_seen: what nodes do whose limbs lie as in a
    group, and as in the team (`MeshLimbs.team`). Raises as `graph_facts` and `schedule`.
    """
    limbs = rendering.limbs
    divided = program.divided(rendering.division)
    plan = schedule(divided.graph, rendering.assignment(divided.graph))
    context, params = divided.context, divided.bootstrap.params
    facts = schedule_facts(divided.graph, context, divided.symbols, params, plan, limbs, seen, team_seen)
    return evaluate_schedule(rendering, divided, plan, machine, facts)


def evaluate_schedule(
    rendering: Rendering, divided: ShapeProgram, plan: Schedule, machine: Machine, facts: GraphFacts
) -> Evaluation:
    """The same nodes in any places, each by groups or by all as in the rendering. divided: in its parts."""
    params, limbs = divided.bootstrap.params, rendering.limbs
    costs = FormSeconds.of_program(divided, MeshLimbs(plan.mesh, limbs), machine.device)
    seconds = costs.of_plan(plan, facts)
    timeline = simulate(plan, facts, seconds, machine.network, limbs, params.degree, moving="eager")
    return Evaluation(
        rendering=rendering,
        machine=machine,
        degree=params.degree,
        plan=plan,
        facts=facts,
        seconds=seconds,
        traffic=predict_traffic(plan, limbs, facts, params.degree),
        timeline=timeline,
        memory=fullest_memory(plan, facts, params, limbs, divided.graph.results),
    )
