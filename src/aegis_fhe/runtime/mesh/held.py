"""What a device holds while it runs, measured: bytes of its arena, by what they are for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from aegis_fhe.ckks.ciphertext import Ciphertext
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.shape_memory import DeviceMemory


class Alive(Protocol):
    """What was here at a moment."""

    @property
    def alive_bytes(self) -> int:
        """Of all values."""
        ...


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

    def end(self, before: Alive) -> None:
        """A node ended; before: its beginning, asked what was alive at a fuller moment than all so far."""
        held = self.params.ring.arena.bytes().peak_in_use - self.before
        if held > self.activations + self.workspace:
            self.activations = before.alive_bytes
            self.workspace = held - self.activations

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
