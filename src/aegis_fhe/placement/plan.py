"""Token placement: every ciphertext whole on one device, token blocks in contiguous shares.

All limbs of a ciphertext stay together, so no key switch, rescale or rotation communicates; a value moves
only when a node on one block's device reads a value made on another's.
"""

from __future__ import annotations

from dataclasses import dataclass

from aegis_fhe.errors import AegisError, CompatibilityError
from aegis_fhe.placement.cost.chain import RESIDUE_BYTES
from aegis_fhe.program.compiled import CompiledProgram
from aegis_fhe.program.graph import Node


@dataclass(frozen=True, kw_only=True)
class ValueTransfer:
    """A ciphertext goes from one device to another before a stage starts. shape: [component, limb, N]."""

    value: str
    source: int
    destination: int
    shape: tuple[int, int, int]
    scale: float

    @property
    def bytes(self) -> int:
        """Residues of 8 bytes."""
        components, limbs, degree = self.shape
        return components * limbs * degree * RESIDUE_BYTES


@dataclass(frozen=True)
class Stage:
    """What moves first, then what is computed (on all devices)."""

    name: str
    transfers: tuple[ValueTransfer, ...]
    nodes: tuple[Node, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Owner of each token block, and the stages in order."""

    world_size: int
    owner: tuple[int, ...]
    stages: tuple[Stage, ...]

    def nodes_of(self, rank: int) -> list[Node]:
        """The nodes a device computes, in order."""
        return [node for stage in self.stages for node in stage.nodes if self.owner[node.block] == rank]

    def received_bytes(self, rank: int) -> list[tuple[str, int]]:
        """(stage, bytes) a device receives from others; exact."""
        return [
            (stage.name, sum(t.bytes for t in stage.transfers if t.destination == rank))
            for stage in self.stages
            if stage.transfers
        ]

    def bytes_between_devices(self) -> int:
        """Sum over all devices of the bytes they receive."""
        return sum(t.bytes for stage in self.stages for t in stage.transfers)


def plan_tokens(program: CompiledProgram, world_size: int) -> Plan:
    """Contiguous shares of token blocks, as even as whole blocks allow.

    Raises AegisError when there are more devices than token blocks.
    """
    if not 1 <= world_size <= program.blocks:
        raise AegisError(
            f"{program.blocks} token blocks cannot be shared by {world_size} devices: "
            f"use 1 to {program.blocks}"
        )
    owner = tuple(p * world_size // program.blocks for p in range(program.blocks))
    symbols = program.symbols()
    home = {value: owner[node.block] for node in program.graph.nodes for value in node.outputs}
    present = set(home.items())
    made: set[str] = set()
    stages = []
    for name, nodes in program.graph.stages():
        transfers = []
        for node in nodes:
            rank = owner[node.block]
            for value in node.inputs:
                if (value, rank) in present:
                    continue
                if value not in made:
                    raise CompatibilityError(
                        f"node {node.name} needs {value} of another device in the same stage"
                    )
                symbol = symbols[value]
                shape = (symbol.components, symbol.level + 1, program.params.degree)
                transfers.append(
                    ValueTransfer(
                        value=value, source=home[value], destination=rank, shape=shape, scale=symbol.scale
                    )
                )
                present.add((value, rank))
        made.update(value for node in nodes for value in node.outputs)
        stages.append(Stage(name, tuple(transfers), tuple(nodes)))
    return Plan(world_size=world_size, owner=owner, stages=tuple(stages))
