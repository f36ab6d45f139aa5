"""Where a run may stop and go on later: positions in the order of all nodes at which little is alive."""

from __future__ import annotations

from itertools import accumulate

from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.alive_values import AliveValues
from aegis_fhe.placement.facts import GraphFacts
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.move_room import MoveRoom
from aegis_fhe.placement.schedule import Schedule

NEAR = 4  # a cut is moved by at most this part of the distance between two


def choose_cuts(
    plan: Schedule,
    facts: GraphFacts,
    params: Parameters,
    layout: MeshLimbs,
    results: tuple[str, ...],
    count: int,
) -> tuple[int, ...]:
    """At most so many positions, ascending, the same for every rank: the first node that is not done.

    They divide the work (in NTTs) into count + 1 equal parts, each moved by up to a quarter of a part to
    where the bytes that all devices hold are fewest, of equal ones the first.
    """
    ranks = range(plan.mesh.world_size)
    own = (alive_at(plan, facts, params, layout, rank, results) for rank in ranks)
    alive = [sum(of_all) for of_all in zip(*own, strict=True)]
    nodes = [node for one in plan.rounds for node in one.nodes]
    done = [0.0, *accumulate(facts.nodes[node.name].counts.ntts(params) for node in nodes)]
    part, found = done[-1] / (count + 1), set[int]()
    for number in range(1, count + 1):
        low, high = part * (number - 1 / NEAR), part * (number + 1 / NEAR)
        near = [place for place in range(1, len(nodes)) if low <= done[place] <= high]
        if near:
            found.add(min(near, key=lambda place: (alive[place], place)))
    return tuple(sorted(found))


def alive_at(
    plan: Schedule,
    facts: GraphFacts,
    params: Parameters,
    layout: MeshLimbs,
    rank: int,
    results: tuple[str, ...],
) -> list[int]:
    """Bytes that one device holds at a cut before each position, inputs of later nodes left out."""
    group, form_of = plan.mesh.place(rank)[0], plan.assignment.form
    alive = AliveValues(plan.uses(group, results), MoveRoom(plan, facts, params, layout, rank).size)
    found = [0]
    for number, one in enumerate(plan.rounds):
        for move in plan.arriving(group)[number]:
            alive.add((move.value,), move.makes)
        for move in plan.leaving(group)[number]:
            alive.use((move.value,), move.needs)
        for node in one.nodes:
            if group in plan.assignment.groups(node):
                form = form_of(node)
                needed = [name for name in node.outputs if alive.left[form][name] > 0]
                alive.add(needed, form)
                for place, source in facts.nodes[node.name].views:
                    if node.outputs[place] in needed:
                        alive.share((node.outputs[place], form), (node.inputs[source], form))
                alive.use(node.inputs, form)
            found.append(alive.bytes)
    return found
