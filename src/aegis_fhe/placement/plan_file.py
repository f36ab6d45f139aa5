"""A plan as a file: what `aegis plan` reports, and of every strategy all that it takes to run it.

    {"format": "aegis-plan", "version": 2, ...figures for people...,
     "strategies": {name: {...figures..., "plan": {...}}}, "front": [{...figures..., "plan": {...}}, ...]}

The figures are those of `report.plan_facts`, and nothing reads them again. A `plan` stands for itself: model,
parameters, prediction and the machine that it was made for are in it, so it may be cut out. It is read
strictly. No weight and no range is in it: who has the shape and the parameters makes the same program, and
the plan says the rest. Seconds are not either: they follow from the machine.

Nodes with the same place that follow each other are one entry, likewise divisions (`plan_runs`): half as
many bytes. Plans of BERT-base for 2048 tokens on four devices take 3 to 16 kB.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from aegis_fhe.errors import CompatibilityError, ContainerError
from aegis_fhe.placement.cost import DeviceModel, Network
from aegis_fhe.placement.cost.struct_file import read_struct

FORMAT, VERSION = "aegis-plan", 2
LARGEST_BYTES = 256 << 20
CURE = "make it again with aegis plan ... -o FILE"

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
Group: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
StoredPlace: TypeAlias = tuple[Group, ...] | Literal["team"]
Record: TypeAlias = dict[str, Any]
StoredDivision: TypeAlias = Record | tuple[tuple[str, Count, Record], ...]
StoredTraffic: TypeAlias = tuple[tuple[tuple[str, str, str, int], ...], ...]


class StoredParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """fingerprint: `Parameters.fingerprint`; parameters, bootstrap: their `to_dict`."""

    fingerprint: str
    parameters: Record
    bootstrap: Record


class StoredMachine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What seconds are predicted for."""

    device: DeviceModel
    network: Network

    @property
    def measured(self) -> bool:
        """Whether both were, on some machine."""
        return self.device.measured and self.network.measured


class StoredPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rendering of one layer.

    shape, degrees, packing, mesh, limbs: records of `LayerShape`, `Degrees`, `Packing`, `Mesh`,
    `LimbPlacement` (`plan_records`). division: a record of `Division`, or runs of records over the nodes of
    the undivided graph that are no inputs. machine: what its seconds are predicted for. places: runs of
    places over all nodes of the divided graph. graph: `graph_digest` of that graph. received: of each rank
    [axis, stage, kind, bytes]. memory: bytes of the fullest device, by what they are for.
    """

    version: int
    model: str
    shape: Record
    degrees: Record
    tokens: Count
    devices: Count
    parameters: StoredParameters
    machine: StoredMachine
    strategy: str
    variant: str
    packing: Record
    mesh: Record
    limbs: Record
    division: StoredDivision
    places: tuple[tuple[str, Count, StoredPlace], ...]
    graph: str
    received: StoredTraffic
    memory: dict[str, int]


class _Figures(msgspec.Struct, frozen=True):
    plan: StoredPlan


class PlanFile(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a file that is read: see the module."""

    format: str
    version: int
    strategies: dict[str, _Figures]
    front: tuple[_Figures, ...] = ()

    @property
    def plans(self) -> dict[str, StoredPlan]:
        """By strategy, those of the front by "front 1" and so on, from the fastest."""
        found = {name: one.plan for name, one in self.strategies.items()}
        return {**found, **{f"front {i}": one.plan for i, one in enumerate(self.front, 1)}}

    def plan(self, name: str | None = None) -> StoredPlan:
        """One of them: by default that of "aegis", or else the first. Raises CompatibilityError."""
        plans = self.plans
        if name is None:
            name = "aegis" if "aegis" in plans else next(iter(plans))
        if name not in plans:
            raise CompatibilityError(f"there is no plan {name!r} in the file: it has {', '.join(plans)}")
        return plans[name]


def read_plan_file(path: Path) -> PlanFile:
    """Raises ContainerError for what is no undamaged file of this kind and version."""
    found = read_struct(path, PlanFile, FORMAT, VERSION, CURE, largest_bytes=LARGEST_BYTES)
    for name, plan in found.plans.items():
        if plan.version != VERSION:
            raise ContainerError(f"{path}: plan {name!r} is of version {plan.version}, not {VERSION}: {CURE}")
    if not found.plans:
        raise ContainerError(f"{path} holds no plan: {CURE}")
    return found


def plan_document(
    facts: Mapping[str, Any], plans: Mapping[str, StoredPlan], front: Sequence[StoredPlan] = ()
) -> str:
    """The text of a file. facts: `report.plan_facts`, with `front_facts` as "front" where there is one.

    Figures are a line each, a plan is one line: nobody reads the places of a thousand nodes.
    """
    lines: dict[str, str] = {}

    def placed(figures: Mapping[str, Any], plan: StoredPlan) -> dict[str, Any]:
        key = f"\x00{len(lines)}\x00"
        lines[json.dumps(key)] = msgspec.json.encode(plan).decode()
        return {**figures, "plan": key}

    strategies = {name: placed(one, plans[name]) for name, one in facts["strategies"].items()}
    document = {"format": FORMAT, "version": VERSION, **facts, "strategies": strategies}
    if front:
        document["front"] = [placed(one, plan) for one, plan in zip(facts["front"], front, strict=True)]
    text = json.dumps(document, indent=1)
    for key, line in lines.items():
        text = text.replace(key, line)
    return text + "\n"
