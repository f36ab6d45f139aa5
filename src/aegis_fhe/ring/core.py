"""Moduli, native tables and the checks that every ring operation makes before it hands an address to C++."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from aegis_fhe.errors import LayoutError, ParameterError
from aegis_fhe.ring import engine, native
from aegis_fhe.ring.arena import Arena
from aegis_fhe.ring.primes import check_degree, check_modulus, root_of_unity

if TYPE_CHECKING:
    from typing_extensions import Self

MAX_LIMBS = 128  # of one basis conversion: its rounding bound is stated for so many


class RingCore:
    """Z_Q[X]/(X^N + 1) for Q = prod moduli: the immutable data that the operations share.

    Raises ParameterError unless degree is a power of two and the moduli are distinct primes < 2^50 that are
    1 mod 2N, or when `path` cannot run on this machine. Results and kernels' scratch lie in `arena`.
    """

    def __init__(
        self, degree: int, moduli: Sequence[int], path: str | None = None, *, arena: Arena | None = None
    ) -> None:
        self.log_degree = check_degree(degree)
        self.degree = degree
        self.moduli = tuple(_integer(q) for q in moduli)
        if len(set(self.moduli)) != len(self.moduli):
            raise ParameterError(f"the moduli must differ: {self.moduli}")
        if len(self.moduli) > MAX_LIMBS:
            raise ParameterError(f"{len(self.moduli)} moduli given; a ring takes at most {MAX_LIMBS}")
        for q in self.moduli:
            check_modulus(q, degree)
        kernels = native.choose_path(path)
        roots = [root_of_unity(q, degree) for q in self.moduli]
        built = engine.build(self.log_degree, self.moduli, roots, kernels, arena)
        self.arena, self.copies, self.calls = built.arena, built.copies, built.calls
        self.device, self._native = built.device, built.operations
        self._on_cpu = self.device.type == "cpu"

    @property
    def path(self) -> str:
        """Name of the kernel path in use."""
        return self._native.path

    def __repr__(self) -> str:
        return f"{type(self).__name__}(degree={self.degree}, {len(self.moduli)} moduli, {self.path})"

    @cached_property
    def host(self) -> Self:
        """The same ring on this machine's processor: itself, or another one beside a GPU's kernels.

        Secrets are made and used there, and results decoded.
        """
        if not native.off_host(self.path):
            return self
        return type(self)(self.degree, self.moduli, native.available_paths()[0])

    @property
    def off_host(self) -> bool:
        """Whether a GPU's kernels do the work, real, emulated or left out."""
        return native.off_host(self.path)

    def place(self, x: Tensor) -> Tensor:
        """x where this ring's tensors lie: itself, or a copy there."""
        return x if x.device == self.device else x.to(self.device, non_blocking=True)

    def check_limbs(self, limbs: Sequence[int]) -> list[int]:
        """Return the limbs as a list; raise ParameterError when one is unknown.

        There may be none: one of several devices that share the limbs of a low level.
        """
        index = list(limbs)
        if index and (min(index) < 0 or max(index) >= len(self.moduli)):
            raise ParameterError(f"limbs {index} given; this ring has limbs 0 to {len(self.moduli) - 1}")
        return index

    def _galois(self, galois: int) -> int:
        """The element modulo 2N; raise ParameterError unless X -> X^galois is an automorphism."""
        if galois % 2 == 0:
            raise ParameterError(f"galois element {galois} is even; automorphisms are X -> X^g for odd g")
        return galois % (2 * self.degree)

    def _check(self, name: str, x: Tensor, tail: tuple[int, ...]) -> int:
        """Check dtype, device, contiguity and the last axes of x; return the product of the leading axes."""
        shape = x.shape
        leading = len(shape) - len(tail)
        if not self._is_plain(x):
            raise LayoutError(self._what_is_wrong(name, x))
        if leading < 0 or shape[leading:] != tail:
            expected = ", ".join(str(size) for size in tail)
            raise LayoutError(f"{name} has shape {list(shape)}; [..., {expected}] is expected")
        return math.prod(shape[:leading])

    def _out(
        self,
        shape: Sequence[int],
        out: Tensor | None,
        apart_from: Sequence[Tensor] = (),
        may_be: Sequence[Tensor] = (),
    ) -> Tensor:
        """Return a new tensor, or `out` checked: the shape of the result, no memory of `apart_from`.

        Of a tensor in `may_be`, which has that shape, it takes the very memory or none.
        """
        if out is None:
            return self.arena.empty(shape)
        if not self._is_plain(out):
            raise LayoutError(self._what_is_wrong("out", out))
        if tuple(out.shape) != tuple(shape):
            raise LayoutError(f"out has shape {list(out.shape)}; the result has shape {list(shape)}")
        for x in (*apart_from, *(x for x in may_be if x.data_ptr() != out.data_ptr())):
            if out.data_ptr() < x.data_ptr() + extent(x) and x.data_ptr() < out.data_ptr() + out.nbytes:
                raise LayoutError(
                    "out shares memory with an operand, which this operation still reads; use another"
                )
        return out

    def _is_plain(self, x: Tensor) -> bool:
        """Whether an address says all: contiguous int64 in the memory of this ring's device."""
        here = x.is_cpu if self._on_cpu else x.device == self.device
        return here and x.dtype is torch.int64 and x.is_contiguous()

    def _what_is_wrong(self, name: str, x: Tensor) -> str:
        """With a tensor that is not plain."""
        if x.dtype != torch.int64:
            return f"{name} has dtype {x.dtype}; {torch.int64} is expected"
        if x.device != self.device:
            return f"{name} lies on {x.device}; the kernels of path {self.path} take tensors on {self.device}"
        return f"{name} is not contiguous (strides {list(x.stride())}); call .contiguous() first"


def in_parts(x: Tensor) -> bool:
    """Whether x is [component, limb, N], each component contiguous but not the whole: of a lower level."""
    return not x.is_contiguous() and x.dim() == 3 and x[0].is_contiguous()


def extent(x: Tensor) -> int:
    """Bytes from the first to the last entry of x in memory."""
    return (sum((n - 1) * s for n, s in zip(x.shape, x.stride(), strict=True)) + 1) * x.element_size()


def _integer(q: object) -> int:
    try:
        return operator.index(q)  # type: ignore[arg-type]
    except TypeError:
        raise ParameterError(f"modulus {q!r} is not an integer; primes below 2^50 are expected") from None
