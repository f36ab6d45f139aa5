"""Ciphertexts: polynomials c_0, c_1 (and c_2 after a product), sum_i c_i s^i = scale * message + noise."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch

from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.errors import LayoutError, ScaleError
from aegis_fhe.ring.sampling import uniform

MASK_LABEL = b"ciphertext"  # names the stream of the uniform component


@dataclass(frozen=True, kw_only=True, eq=False)
class Ciphertext:
    """parts: int64 [component (2 or 3), limb, N], NTT domain, residues in [0, q); each component contiguous.

    scale: message factor. level: limbs minus one, how many rescalings remain. components: 2, or 3 before
    relinearisation. Raises LayoutError for other parts, ScaleError for a scale that is not positive and
    finite.
    """

    parts: torch.Tensor
    scale: float
    level: int = field(init=False, repr=False)
    components: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        shape = self.parts.shape
        if len(shape) != 3 or shape[0] not in (2, 3) or shape[1] < 1 or self.parts.dtype != torch.int64:
            raise LayoutError(
                f"a ciphertext of shape {list(shape)} and {self.parts.dtype} was given; expected "
                "[2 or 3 components, limb, N] of torch.int64"
            )
        require_scale(self.scale)
        self._know(shape[1] - 1)

    def _know(self, level: int) -> None:
        """What operations ask for again and again; of a tensor it takes a new shape each time."""
        object.__setattr__(self, "level", level)
        object.__setattr__(self, "components", self.parts.shape[0])

    @property
    def size_bytes(self) -> int:
        """Memory of the residues."""
        return self.parts.numel() * self.parts.element_size()


@dataclass(frozen=True, kw_only=True, eq=False)
class SeededCiphertext:
    """A fresh ciphertext at half the size: c_0, and the seed from which anyone recomputes the uniform c_1.

    body: int64 [limb, N], NTT domain, on the host; seed: 32 public bytes, drawn anew for every encryption.
    """

    body: torch.Tensor
    seed: bytes
    scale: float

    @property
    def level(self) -> int:
        """Limbs minus one."""
        return int(self.body.shape[0]) - 1

    def expand(self, params: Parameters) -> Ciphertext:
        """The full two-component ciphertext where the ring's tensors lie, same level and scale.

        Cost: one uniform polynomial.
        """
        parts = params.ring.arena.empty((2, *self.body.shape))
        params.ring.arena.copy_into(self.body, parts[0])
        uniform(params.ring, params.q_limbs(self.level), self.seed, MASK_LABEL, out=parts[1])
        return Ciphertext(parts=parts, scale=self.scale)


def require_scale(scale: float) -> None:
    """Raises ScaleError unless the scale is positive and finite."""
    if not (math.isfinite(scale) and scale > 0):
        raise ScaleError(f"scale is {scale}; expected a positive finite number")
