"""Devices in two directions: T groups with ciphertexts of their own, each of M devices that share limbs."""

from __future__ import annotations

from dataclasses import dataclass

from aegis_fhe.errors import ParameterError


@dataclass(frozen=True, kw_only=True)
class Mesh:
    """Rank r is device r mod `limbs` of group r div `limbs`. Raises ParameterError for an empty mesh."""

    tokens: int = 1
    limbs: int = 1

    def __post_init__(self) -> None:
        if self.tokens < 1 or self.limbs < 1:
            raise ParameterError(f"a mesh of {self.tokens} x {self.limbs} devices has none: 1 x 1 is least")

    @property
    def world_size(self) -> int:
        """T M."""
        return self.tokens * self.limbs

    def place(self, rank: int) -> tuple[int, int]:
        """(group, device in the group)."""
        return divmod(rank, self.limbs)

    def rank(self, group: int, device: int) -> int:
        """The inverse of `place`."""
        return group * self.limbs + device

    def groups(self) -> list[list[int]]:
        """Ranks that share limbs, group by group."""
        return [[self.rank(t, m) for m in range(self.limbs)] for t in range(self.tokens)]

    def columns(self) -> list[list[int]]:
        """Ranks that hold the same limbs of different ciphertexts."""
        return [[self.rank(t, m) for t in range(self.tokens)] for m in range(self.limbs)]
