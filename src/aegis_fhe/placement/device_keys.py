"""Which rows of which evaluation keys one device holds: what it computes with, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from aegis_fhe.ckks.key_request import TO_SPARSE, KeyRequest
from aegis_fhe.ckks.key_shape import key_limbs, parameters_of
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.cost.chain import RESIDUE_BYTES
from aegis_fhe.placement.facts import GraphFacts, NodeFacts
from aegis_fhe.placement.mesh_limbs import MeshLimbs
from aegis_fhe.placement.moves import Form
from aegis_fhe.placement.schedule import Schedule

Levels: TypeAlias = Mapping[int | str, int]
"""Of each step that is used the highest level."""


@dataclass(frozen=True, kw_only=True)
class HeldKey:
    """request: of the step, at the highest level that this device uses. limbs: of the ring of the key's
    parameters, in the order of its rows. digits: of those at that level.
    """

    request: KeyRequest
    limbs: tuple[int, ...]
    digits: tuple[int, ...]

    def nbytes(self, degree: int) -> int:
        """Of both halves."""
        return 2 * len(self.digits) * len(self.limbs) * degree * RESIDUE_BYTES


@dataclass(frozen=True, kw_only=True)
class DeviceKeys:
    """whole: in the limbs that it has as one of its group. shared: in those that it has in the team, where
    they are not among the others. viewed: steps of the team that are. digits: in all limbs, of its digits,
    for sums that are aggregated.
    """

    whole: tuple[HeldKey, ...]
    shared: tuple[HeldKey, ...] = ()
    viewed: frozenset[int | str] = frozenset()
    digits: tuple[HeldKey, ...] = ()

    def nbytes(self, degree: int) -> int:
        """Of all of them, both halves of each."""
        return sum(key.nbytes(degree) for key in (*self.whole, *self.shared, *self.digits))


@dataclass(frozen=True, kw_only=True)
class KeyUse:
    """What the devices of a group use: levels of its own nodes, of the team's, and of sums by digits."""

    whole: Levels
    shared: Levels
    digits: Levels

    @classmethod
    def of(cls, plan: Schedule, facts: GraphFacts, group: int) -> KeyUse:
        """From the operations of its nodes. facts: of any device."""
        used: dict[Form, dict[int, NodeFacts]] = {"whole": {}, "shared": {}}
        for node in plan.nodes_of(group):
            found = facts.nodes[node.name]
            used[plan.assignment.form(node)][id(found)] = found  # equal nodes share what is known of them
        return cls(
            whole=_highest(one.counts.keys for one in used["whole"].values()),
            shared=_highest(one.counts.keys for one in used["shared"].values()),
            digits=_highest(one.digit_keys for one in used["whole"].values()),
        )

    def on(self, rank: int, params: Parameters, layout: MeshLimbs) -> DeviceKeys:
        """Of one device of the group."""
        levels = {step: max(level, self.shared.get(step, 0)) for step, level in self.whole.items()}
        own = {step: _rows(params, layout, "whole", rank, step, level) for step, level in levels.items()}
        team = {
            step: _rows(params, layout, "shared", rank, step, level) for step, level in self.shared.items()
        }
        viewed = {step for step, key in team.items() if step in own and {*key.limbs} <= {*own[step].limbs}}
        return DeviceKeys(
            whole=_sorted(own.values()),
            shared=_sorted(key for step, key in team.items() if step not in viewed),
            viewed=frozenset(viewed),
            digits=_digits(params, layout, rank, self.digits),
        )


def device_keys(
    plan: Schedule, facts: GraphFacts, params: Parameters, layout: MeshLimbs, rank: int
) -> DeviceKeys:
    """Of one device. facts: of any."""
    return KeyUse.of(plan, facts, plan.mesh.place(rank)[0]).on(rank, params, layout)


def _highest(used: Iterable[Levels]) -> dict[int | str, int]:
    """Of every step over all."""
    levels: dict[int | str, int] = {}
    for one in used:
        for step, level in one.items():
            if level > levels.get(step, -1):
                levels[step] = level
    return levels


def _rows(
    params: Parameters, layout: MeshLimbs, form: Form, rank: int, step: int | str, level: int
) -> HeldKey:
    """All digits; the key to the sparse secret lies on the device of limb 0, with all limbs."""
    request = KeyRequest(step, level)
    own = parameters_of(params, request)
    digits: Sequence[int] = range(len(own.digits(level)))
    if step == TO_SPARSE:
        used = layout.held(form, 0, rank)
        return HeldKey(request=request, limbs=key_limbs(own, level), digits=tuple(digits) if used else ())
    limbs = *layout.held(form, level, rank), *layout.specials(form, rank)
    return HeldKey(request=request, limbs=limbs, digits=tuple(digits))


def _digits(params: Parameters, layout: MeshLimbs, rank: int, levels: Levels) -> tuple[HeldKey, ...]:
    """Of aggregated sums, which only groups compute."""
    _, device = layout.mesh.place(rank)
    return _sorted(
        HeldKey(
            request=KeyRequest(step, level),
            limbs=key_limbs(params, level),
            digits=layout.limbs.own_digits(len(params.digits(level)), device),
        )
        for step, level in levels.items()
    )


def _sorted(keys: Iterable[HeldKey]) -> tuple[HeldKey, ...]:
    return tuple(sorted(keys, key=lambda key: str((key.request.step, key.request.level))))
