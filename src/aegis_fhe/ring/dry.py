"""A ring that takes the memory of every operation and computes nothing: what a run needs, known without it.

Memory that nobody touches costs the machine nothing, so the tensors are real, with real lifetimes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from aegis_fhe.ring import _kernels, native
from aegis_fhe.ring.arena import Arena
from aegis_fhe.ring.calls import Calls
from aegis_fhe.ring.copies import Copies
from aegis_fhe.ring.ring import Ring


class DryArena(Arena):
    """An arena whose tensors are never written."""

    def zeros(self, shape: Sequence[int]) -> Tensor:
        """Memory as for zeros."""
        return self.empty(shape)

    def copy(self, x: Tensor) -> Tensor:
        """Memory as for a copy."""
        return self.empty(x.shape)

    def copy_into(self, x: Tensor, out: Tensor) -> None:
        """Nothing: the memory is there already."""

    def stack(self, tensors: Sequence[Tensor]) -> Tensor:
        """Memory as for a stack."""
        return self.empty((len(tensors), *tensors[0].shape))


class DryRing(Ring):
    """All operations of Ring with its checks and its allocations; results are uninitialised.

    on_gpu: the scratch of a GPU's operations, else that of this machine's processor.
    """

    def __init__(
        self, degree: int, moduli: Sequence[int], *, on_gpu: bool = False, arena: Arena | None = None
    ) -> None:
        self.degree, self.log_degree = degree, degree.bit_length() - 1
        self.moduli = tuple(moduli)
        self.arena = DryArena() if arena is None else arena
        self.copies, self.calls = Copies(self.arena), Calls
        self.device, self._on_cpu = torch.device("cpu"), True
        self._on_gpu, self._native = on_gpu, self._operations(on_gpu)
        self._smaller = {}

    @property
    def off_host(self) -> bool:
        """Whether it is a GPU's work that is left out."""
        return self._on_gpu

    @property
    def host(self) -> DryRing:
        """Itself: it touches no secret."""
        return self

    def periodic_expand(self, values: Tensor) -> Tensor:
        """Memory of the expanded values."""
        return self.arena.empty((*values.shape[:-1], self.degree))

    def _ring_of_degree(self, degree: int) -> DryRing:
        return DryRing(degree, self.moduli, on_gpu=self._on_gpu, arena=self.arena)

    def _operations(self, on_gpu: bool) -> Any:
        if on_gpu:
            return _kernels.Ring.dry(self.log_degree, len(self.moduli), self.arena.native)
        return _NoKernels(self.degree, self.arena)


class _NoKernels:
    """Every native operation as nothing but its scratch, where that is whole rows."""

    path = "dry"

    def __init__(self, degree: int, arena: Arena) -> None:
        self._degree, self._arena = degree, arena

    def mod_down(
        self, x: int, to: int, outer: int, keep: Sequence[int], drop: Sequence[int], galois: int
    ) -> None:
        """The dropped rows of a component as coefficients, and what they become before an automorphism."""
        dropped = self._arena.empty((len(drop) * self._degree,))
        converted = self._arena.empty((len(keep) * self._degree if galois != 1 else 1,))
        del dropped, converted

    def mod_up(self, ds: Sequence[int], to: Sequence[int], ends: Sequence[int], limbs: Sequence[int]) -> None:
        """The rows of one polynomial after the other as coefficients."""
        self._arena.empty((ends[-1] * self._degree,))

    def periodic_sums(
        self,
        xs: Sequence[int],
        coefficients: int,
        small: _NoKernels,
        to: Sequence[int],
        components: int,
        limbs: Sequence[int],
    ) -> None:
        """The weights of a batch of limbs."""
        words = len(to) * (len(xs) // components) * small._degree
        self._arena.empty((_kernels.periodic_batch(words, len(limbs)) * words,))

    def switch_key(
        self, operands: Sequence[Any], key: Sequence[Any], keep: int, galois: int, to: Sequence[int]
    ) -> None:
        """The products, and then what each division takes."""
        limbs = key[4]
        products = self._arena.empty((len(to) * 2 * len(limbs) * self._degree,))
        self.mod_down(0, 0, 2, limbs[:keep], limbs[keep:], galois)
        del products

    def add_key_product(self, *arguments: Any) -> None:
        """Both components of one row for each thread."""
        rows = [self._arena.empty((2 * self._degree,)) for _ in range(native.get_threads())]
        del rows

    def __getattr__(self, name: str) -> Callable[..., None]:
        return _nothing


def _nothing(*arguments: Any) -> None:
    """Takes anything."""
