"""The operations of one ring: a transform, a product and a basis conversion, on any kernel path."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from aegis_fhe.bench.peer import PeerFacts, Unsupported
from aegis_fhe.bench.timing import milliseconds
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.ring.ring import Ring

PORTABLE_NAME = "64-bit Shoup, scalar (this library's portable path)"


class KernelOperations:
    """Operations of `ring`, whose moduli are those of `params`; results go to memory that is reused.

    One limb: limb 0. Basis conversion: the first digit of the key switch to all other limbs, P's included.
    """

    def __init__(self, params: Parameters, ring: Ring) -> None:
        self.params = params
        self.ring = ring

    @cached_property
    def limb(self) -> Tensor:
        """[1, N], residues spread over [0, q_0)."""
        return _spread(self.ring, (0,))

    @cached_property
    def _limb_out(self) -> Tensor:
        return self.ring.arena.empty(self.limb.shape)

    @cached_property
    def digit(self) -> Tensor:
        """[digit limb, N], coefficient domain."""
        return _spread(self.ring, self.digit_limbs)

    @cached_property
    def _converted(self) -> Tensor:
        return self.ring.arena.empty((len(self.other_limbs), self.ring.degree))

    @property
    def digit_limbs(self) -> tuple[int, ...]:
        """Limbs of the first digit."""
        return self.params.digits(self.params.max_level)[0]

    @property
    def other_limbs(self) -> tuple[int, ...]:
        """All limbs of QP that are not in the first digit."""
        return tuple(range(len(self.digit_limbs), len(self.ring.moduli)))

    def operations(self) -> dict[str, Callable[[], Tensor]]:
        """Name -> one run."""
        return {
            "ntt": lambda: self.ring.ntt(self.limb, (0,), out=self._limb_out),
            "intt": lambda: self.ring.intt(self.limb, (0,), out=self._limb_out),
            "modmul": lambda: self.ring.mul(self.limb, self.limb, (0,), out=self._limb_out),
            "basis conversion": lambda: self.ring.convert(
                self.digit, self.digit_limbs, self.other_limbs, out=self._converted
            ),
        }


class PortablePeer:
    """The same operations on the portable path: textbook scalar code, for what no peer lets be measured."""

    def __init__(self, params: Parameters) -> None:
        moduli = params.q + params.p
        self._operations = KernelOperations(params, Ring(params.degree, moduli, path="portable")).operations()

    @property
    def facts(self) -> PeerFacts:
        """See `Peer.facts`."""
        return PeerFacts(name=PORTABLE_NAME, description="same ring, same process")

    def measure(self, operation: str) -> float | Unsupported:
        """See `Peer.measure`."""
        return milliseconds(self._operations[operation])

    def close(self) -> None:
        """Nothing to release."""


def _spread(ring: Ring, limbs: tuple[int, ...]) -> Tensor:
    """Residues that look random, from a multiplicative sequence: speed depends on no value anyway."""
    steps = torch.arange(1, ring.degree + 1, dtype=torch.int64) * 0x9E3779B97F4A7C15 % (1 << 62)
    return ring.from_signed(steps, limbs)
