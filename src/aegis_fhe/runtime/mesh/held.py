"""What a device holds while it runs, measured: bytes of its arena, by what they are for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.shape_memory import DeviceMemory


@dataclass
class HeldMemory:
    """The fullest moment so far. keys, weights: bytes of what lies there from before it to its end.

    before: bytes of the arena in use before the run, its inputs left out; what it holds later besides these
    and its values is workspace.
    """

    params: Parameters
    keys: int
    weights: int
    before: int
    activations: int = 0
    workspace: int = 0

    @classmethod
    def of(cls, params: Parameters, inputs: Iterable[Ciphertext], keys: int, weights: int) -> HeldMemory:
        """Of a run that begins now, with inputs in the arena of `params`."""
        before = params.ring.arena.bytes().in_use - stored_bytes(inputs)
        return cls(params=params, keys=keys, weights=weights, before=before)

    def begin(self) -> None:
        """A node or an exchange begins."""
        self.params.ring.arena.reset_peaks()

    def end(self, alive_bytes: int) -> None:
        """It ended; alive_bytes: of the values before a node, or after what arrived in an exchange."""
        held = self.params.ring.arena.bytes().peak_in_use - self.before
        if held > self.activations + self.workspace:
            self.activations, self.workspace = alive_bytes, held - alive_bytes

    @property
    def fullest(self) -> DeviceMemory:
        """As it is predicted."""
        return DeviceMemory(
            keys=self.keys, weights=self.weights, activations=self.activations, workspace=self.workspace
        )


def stored_bytes(values: Iterable[Ciphertext]) -> int:
    """Of the tensors behind values; one that several view, or view a part of, is held once and whole."""
    stored = {x.parts.untyped_storage().data_ptr(): x.parts.untyped_storage() for x in values}
    return sum(storage.nbytes() for storage in stored.values())
