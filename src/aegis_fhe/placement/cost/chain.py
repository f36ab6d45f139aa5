"""A modulus chain as plain numbers, and what one device computes of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aegis_fhe.errors import LevelError, ParameterError
from aegis_fhe.placement.limbs import LimbPlacement

RESIDUE_BYTES = 8


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Degree N, how many primes q and p has, and the limbs of every digit at the highest level.

    Of parameters: `Chain(degree=params.degree, limbs=len(params.q), specials=len(params.p),
    digits=params.digits(params.max_level))`. At a lower level a digit keeps the limbs that are left, runs and
    strided digits alike. Raises ParameterError unless the digits share out all limbs.
    """

    degree: int
    limbs: int
    specials: int
    digits: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if self.degree < 2 or self.degree & (self.degree - 1):
            raise ParameterError(f"degree {self.degree}: a power of two is expected")
        if sorted(limb for digit in self.digits for limb in digit) != list(range(self.limbs)):
            raise ParameterError(f"digits {self.digits} do not share out limbs 0 to {self.limbs - 1}")
        if self.specials < 1:
            raise ParameterError("a key switch needs at least one special limb")

    @classmethod
    def in_runs(cls, degree: int, limbs: int, specials: int, digit_size: int) -> Chain:
        """Digits of `digit_size` consecutive limbs, the last may be shorter."""
        starts = range(0, limbs, digit_size)
        digits = tuple(tuple(range(i, min(i + digit_size, limbs))) for i in starts)
        return cls(degree=degree, limbs=limbs, specials=specials, digits=digits)

    @classmethod
    def strided(cls, degree: int, limbs: int, specials: int, count: int) -> Chain:
        """Digit j takes every `count`-th limb from limb j on."""
        digits = tuple(tuple(range(j, limbs, count)) for j in range(min(count, limbs)))
        return cls(degree=degree, limbs=limbs, specials=specials, digits=digits)

    @property
    def row_bytes(self) -> int:
        """N residues."""
        return self.degree * RESIDUE_BYTES

    @property
    def slots(self) -> int:
        """N / 2."""
        return self.degree // 2

    def digits_at(self, level: int) -> tuple[tuple[int, ...], ...]:
        """Digits with limbs up to `level`. Raises LevelError."""
        if not 0 <= level < self.limbs:
            raise LevelError(f"level {level} was given; this chain has levels 0 to {self.limbs - 1}")
        left = (tuple(limb for limb in digit if limb <= level) for digit in self.digits)
        return tuple(digit for digit in left if digit)

    def transform_share(self, points: int) -> float:
        """A transform of fewer points, in ones of N: points log2(points) / (N log2 N)."""
        return points * math.log2(points) / (self.degree * math.log2(self.degree))


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one device computes on at one level.

    limbs: of q; specials: on which it computes; own_specials: those that nobody else adds up. all_limbs,
    all_specials: of the level. digits: (limbs, those of them on this device). whole_digits: sizes of the
    digits that lie on it entirely, as far as it multiplies with these alone. devices: how many there are.
    lower, drops: what it keeps at the next level, and whether it holds the limb that is dropped. split:
    special limbs lie on one device each, which gives them out.
    """

    limbs: int
    specials: int
    own_specials: int
    all_limbs: int
    all_specials: int
    digits: tuple[tuple[int, int], ...]
    whole_digits: tuple[int, ...]
    devices: int
    lower: int
    drops: bool
    split: bool

    @property
    def rows(self) -> int:
        """Of a value modulo QP."""
        return self.limbs + self.specials

    @property
    def all_rows(self) -> int:
        """On all devices together."""
        return self.all_limbs + self.all_specials

    @property
    def converted(self) -> int:
        """Rows that ModUp makes here."""
        return sum(self.rows - own for _, own in self.digits)


def whole(chain: Chain) -> LimbPlacement:
    """All limbs on one device."""
    return LimbPlacement(world_size=1, limbs=chain.limbs, specials=chain.specials)


def share_of(chain: Chain, placement: LimbPlacement, level: int, rank: int) -> Share:
    """What device `rank` has of `level`. Raises LevelError, ParameterError for another chain."""
    if (placement.limbs, placement.specials) != (chain.limbs, chain.specials):
        raise ParameterError(
            f"a placement of {placement.limbs} + {placement.specials} limbs does not fit a chain of "
            f"{chain.limbs} + {chain.specials}"
        )
    digits, held = chain.digits_at(level), placement.q_limbs(level, rank)
    mine = placement.own_digits(len(digits), rank) if placement.aggregation != "none" else ()
    return Share(
        limbs=len(held),
        specials=len(placement.p_limbs(rank)),
        own_specials=len(placement.own_specials(rank)),
        all_limbs=level + 1,
        all_specials=chain.specials,
        digits=tuple((len(digit), _common(digit, held)) for digit in digits),
        whole_digits=tuple(len(digits[j]) for j in mine),
        devices=placement.world_size,
        lower=len(held) - (level in held),
        drops=level in held,
        split=placement.placed == "split",
    )


def _common(xs: Sequence[int], ys: Sequence[int]) -> int:
    return len(set(xs) & set(ys))
