"""When a device of a schedule holds most: values from their arrival to their last use, and operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aegis_fhe.ckks.key_request import TO_SPARSE
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.alive_values import AliveValues
from aegis_fhe.placement.cost import RESIDUE_BYTES
from aegis_fhe.placement.device_keys import DeviceKeys
from aegis_fhe.placement.facts import GraphFacts
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.move_room import MoveRoom
from aegis_fhe.placement.schedule import Schedule
from aegis_fhe.program.operators import Input


def fullest_moment(
    plan: Schedule,
    facts: GraphFacts,
    params: Parameters,
    layout: MeshLimbs,
    rank: int,
    results: Sequence[str],
    copied: Mapping[int | str, int],
) -> tuple[int, int]:
    """(bytes alive, bytes inside the operator) at the moment when both together are most.

    For what arrives room is taken in the round before, what leaves stays to the end of its round: see
    `runtime.mesh.flights`.
    """
    group, form_of = plan.mesh.place(rank)[0], plan.assignment.form
    moves = MoveRoom(plan, facts, params, layout, rank)
    alive = AliveValues(plan.uses(group, results), moves.size)
    for node in plan.nodes_of(group):
        if isinstance(node.operator, Input):
            alive.add(node.outputs, form_of(node))
    most = (0, 0)
    for number, nodes in enumerate(plan.rounds_of(group)):
        most = max(most, (moves.begin(number, alive), 0), key=sum)
        for node in nodes:
            moves.expect(plan.position[node.name], alive)
            form, own = form_of(node), facts.nodes[node.name]
            inside = own.rows * params.degree * RESIDUE_BYTES
            if form == "shared":
                inside += max((copied.get(step, 0) for step in own.counts.keys), default=0)
            most = max(most, (alive.bytes, inside), key=sum)
            alive.add(node.outputs, form)
            for place, source in own.views:
                alive.share((node.outputs[place], form), (node.inputs[source], form))
            moves.made(node.outputs, alive)
            alive.use(node.inputs, form)
        most = max(most, (moves.end(number, alive), 0), key=sum)
    return most


def copied_rows(keys: DeviceKeys, params: Parameters, layout: MeshLimbs, rank: int) -> dict[int | str, int]:
    """Bytes of the rows that the team takes of a key which its group holds, as long as it multiplies with
    them (`runtime.limbs.KeyRows`), by step.
    """
    viewed = (key for key in keys.whole if key.request.step in keys.viewed and key.digits)
    return {
        key.request.step: key.nbytes(params.degree)
        // len(key.limbs)
        * len((*layout.held("shared", key.request.level, rank), *layout.specials("shared", rank)))
        for key in viewed
        if key.request.step != TO_SPARSE
    }
