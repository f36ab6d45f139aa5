"""Memory of a rendering and nothing else, in a fraction of the time: giant steps alike are looked at once.

A pass of attention turns and adds the same ciphertexts in every giant step. It holds most in one of three:
the last, which comes first and turns back by many steps; one that turns forward, as all others do; and the
first, which turns nothing. So three are run. They ask for the same keys as all, for they turn by the same
steps at the same levels. Operations and bytes on links are not those of the whole pass, and are not given.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from functools import partial

import msgspec

from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.facts import NodeFacts, Seen, node_facts
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.node_memory import NodeMemory
from aegis_fhe.placement.prediction import schedule_facts
from aegis_fhe.placement.schedule import schedule
from aegis_fhe.placement.shape_memory import DeviceMemory, fullest_memory
from aegis_fhe.placement.strategies import Rendering
from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.long.shape_program import ShapeProgram
from aegis_fhe.program.operators import Context


def peak_memory(rendering: Rendering, program: ShapeProgram) -> DeviceMemory:
    """Of the fullest device, as `evaluate` has it. program: of the rendering's packing, undivided.

    Raises as `evaluate`.
    """
    divided, limbs = program.divided(rendering.division), rendering.limbs
    graph, params = divided.graph, divided.bootstrap.params
    plan = schedule(graph, rendering.assignment(graph))
    facts = schedule_facts(
        graph, divided.context, divided.symbols, params, plan, limbs, few_steps_seen(params, limbs)
    )
    return fullest_memory(plan, facts, params, limbs, graph.results)


def few_steps_seen(params: Parameters, limbs: LimbPlacement) -> Seen:
    """As `nothing_seen`, for memory and keys only."""
    return _FewStepsSeen(partial(NodeMemory, params, limbs), node_facts)


class _FewSteps(StreamingAttention, frozen=True, tag=True):
    """The first two giant steps and the last of a pass."""

    @property
    def giant_steps(self) -> Sequence[int]:
        """At most three."""
        steps = super().giant_steps
        return steps if len(steps) < 4 else (*steps[:2], steps[-1])


class _FewStepsSeen(Seen):
    """Runs a pass of attention in few giant steps, unless it keeps the scores of all."""

    def run(self, node: Node, values: MutableMapping[str, Symbol], context: Context) -> NodeFacts:
        """Memory, levels and keys are those of the node."""
        operator = node.operator
        if isinstance(operator, StreamingAttention) and not (operator.resident or operator.keeps):
            fields = {name: getattr(operator, name) for name in operator.__struct_fields__}
            node = msgspec.structs.replace(node, operator=_FewSteps(**fields))
        return super().run(node, values, context)
