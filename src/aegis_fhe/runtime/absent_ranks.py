"""A carrier of blocks to and from ranks that do not exist: for one rank that runs by itself.

What it sends is kept for as long as a carrier keeps it, and goes nowhere. What it receives is one row of
residues, written into every row of the block. Its values cannot matter for seconds or memory: shapes and
limbs follow from the plan alone, and no kernel that a worker runs takes another way for another residue, but
that a basis conversion looks twice at what is within 2^-36 of half its modulus, which hardly a residue is,
here or in a ciphertext. They are drawn below the smallest modulus, so that every limb may have them, and
uniformly, as a ciphertext's are: zeros take a processor less power, so that it may run faster.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from aegis_fhe.runtime.gpus import finish


class AbsentRanks:
    """A `Carrier`. Blocks [..., N] on `device`, of residues below `modulus`, the same in each run.

    seconds: what writing took so far by the clock `now`, which in a real run links do while the device
    computes.
    """

    def __init__(
        self,
        degree: int,
        modulus: int,
        device: torch.device | str = "cpu",
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.now = now
        generator = torch.Generator().manual_seed(degree)
        self._row = torch.randint(modulus, (degree,), generator=generator).to(device)
        self.seconds = 0.0

    def send(self, block: Tensor, peer: int) -> Kept:
        """To nobody."""
        return Kept(block)

    def receive(self, block: Tensor, peer: int) -> Kept:
        """At once. The device first ends what it was given, which is time of its own."""
        finish(block.device)
        start = self.now()
        block.copy_(self._row)
        finish(block.device)
        self.seconds += self.now() - start
        return Kept(block)

    def close(self) -> None:
        """Nothing is under way."""


class Kept:
    """A block that lives until it is waited for."""

    def __init__(self, block: Tensor) -> None:
        self._block = block

    def wait(self) -> None:
        """Not at all."""
