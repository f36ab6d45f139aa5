"""What several devices are projected to take, by hand, from seconds that are invented for every device."""

from __future__ import annotations

import pytest

from aegis_fhe.circuits.counts import OperationCounts
from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.errors import CompatibilityError
from aegis_fhe.placement.facts import GraphFacts, NodeFacts
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.replayed_seconds import efficiency, replayed_seconds
from aegis_fhe.placement.schedule import TEAM, Assignment, Place, Schedule, schedule
from aegis_fhe.placement.timeline import Timeline, timelines
from aegis_fhe.program.graph import Graph

from .test_schedule import node
from .test_timeline import LIMBS, ROW_MS

NODES = (node("a"), node("b", "a"), node("c", "a"), node("end", "b", "c"))
WHERE: dict[str, Place] = {"a": (0, 1), "b": (0,), "c": (1,), "end": (1,)}
ALIKE = [{"a": 3, "b": 4, "c": 9, "end": 1}, {"a": 5, "b": 2, "c": 9, "end": 2}]
RANKS = [{"a": 3, "b": 40}, {"a": 5, "c": 50, "end": 1}]


def planned(mesh: Mesh, where: dict[str, Place]) -> Schedule:
    return schedule(Graph(NODES, ("end",)), Assignment(mesh=mesh, where=where))


def projected(plan: Schedule, ranks: list[dict[str, int]]) -> list[Timeline]:
    """Of milliseconds by rank; a value is 16 rows, of which each takes a millisecond."""
    facts = GraphFacts(
        nodes={n.name: NodeFacts(OperationCounts()) for n in NODES},
        symbols={n.name: Symbol(7, 1.0) for n in NODES},
    )
    seconds = replayed_seconds(plan, [{name: ms / 1000 for name, ms in own.items()} for own in ranks])
    limbs = LIMBS.shared_by(plan.mesh.limbs)
    return timelines(plan, facts, seconds, ROW_MS, limbs, 128, moving="eager")


def test_every_group_takes_its_own_seconds():
    """Group 0 has b after 3 + 40 and sends it in 16; group 1 has c after 5 + 50 and waits 4 ms for b."""
    found = projected(planned(Mesh(tokens=2), WHERE), RANKS)
    first, last = found
    assert last.seconds * 1000 == pytest.approx(3 + 40 + 16 + 1)
    assert sum(last.busy.values()) * 1000 == pytest.approx(5 + 50 + 1)
    assert sum(last.exposed.values()) * 1000 == pytest.approx(4)
    assert sum(first.busy.values()) * 1000 == pytest.approx(3 + 40)
    (alone,) = projected(planned(Mesh(), dict.fromkeys(WHERE, (0,))), [{"a": 4, "b": 41, "c": 50, "end": 1}])
    assert alone.seconds * 1000 == pytest.approx(96)
    assert efficiency(alone.seconds, 2, last.seconds) == pytest.approx(96 / (2 * 60))


def test_devices_that_share_limbs_wait_for_the_slowest():
    plan = planned(Mesh(limbs=2), dict.fromkeys(WHERE, (0,)))
    (found,) = projected(plan, ALIKE)
    assert found.seconds * 1000 == pytest.approx(5 + 4 + 9 + 2)


def test_the_team_waits_for_the_slowest_of_all():
    """b is of both groups together: neither has it before the other."""
    plan = planned(Mesh(tokens=2), {"a": (0, 1), "b": TEAM, "c": TEAM, "end": TEAM})
    found = projected(plan, ALIKE)
    assert [one.seconds * 1000 for one in found] == [pytest.approx(5 + 4 + 9 + 2)] * 2


@pytest.mark.parametrize(
    ("ranks", "message"),
    [
        (RANKS[:1], "1 ranks were replayed of a plan for 2 devices"),
        ([RANKS[0], {"a": 5, "end": 1}], "rank 1 was replayed without 1 of its nodes, such as c"),
    ],
)
def test_a_device_without_its_seconds_is_refused(ranks: list[dict[str, int]], message: str):
    with pytest.raises(CompatibilityError, match=message):
        projected(planned(Mesh(tokens=2), WHERE), ranks)
