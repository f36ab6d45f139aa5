"""What one device holds of ciphertexts and keys whose limbs are shared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from aegis_fhe.ckks.ciphertext import Ciphertext, require_scale
from aegis_fhe.ckks.key_shape import key_limbs
from aegis_fhe.ckks.keys import EncapsulationKeys, EvaluationKeys, KeySwitchKey, digit_label
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.ring.sampling import uniform


@dataclass(frozen=True, kw_only=True, eq=False)
class LimbShard(Ciphertext):
    """parts: the rows of one device, perhaps none at a low level; the level is that of the whole."""

    whole_level: int

    def __post_init__(self) -> None:
        assert self.parts.dim() == 3, self.parts.shape
        require_scale(self.scale)

    @property
    def level(self) -> int:
        """Limbs of the whole ciphertext minus one."""
        return self.whole_level


@dataclass(frozen=True, kw_only=True, eq=False)
class KeyShard(KeySwitchKey):
    """b: the rows of `limbs` alone, in that order; a: the same rows, as every row has its own stream.

    digits: which ones, for a device that multiplies with some only.
    """

    limbs: tuple[int, ...]
    digits: tuple[int, ...]

    @property
    def a(self) -> torch.Tensor:
        """The uniform half's rows, drawn anew every time."""
        ring = self.params.ring
        half = ring.arena.empty(self.b.shape)
        for digit, rows in zip(self.digits, half, strict=True):
            uniform(ring, self.limbs, self.seed, digit_label(digit), out=rows)
        return half


def shard_ciphertext(x: Ciphertext, placement: LimbPlacement, rank: int) -> LimbShard:
    """A device's rows of a whole ciphertext, copied."""
    rows = list(placement.q_limbs(x.level, rank))
    return LimbShard(parts=x.parts[:, rows].contiguous(), scale=x.scale, whole_level=x.level)


def shard_keys(
    params: Parameters, keys: EvaluationKeys, placement: LimbPlacement, rank: int
) -> EvaluationKeys:
    """A device's rows of all evaluation keys; that to the sparse secret stays whole, for limb 0's device."""

    def shard(key: KeySwitchKey) -> KeyShard:
        limbs = placement.q_limbs(key.level, rank) + placement.p_limbs(rank)
        return _rows_of(key, limbs, range(key.b.shape[0]))

    sparse = keys.encapsulation
    return EvaluationKeys(
        fingerprint=keys.fingerprint,
        relin=None if keys.relin is None else shard(keys.relin),
        rotations={galois: shard(key) for galois, key in keys.rotations.items()},
        encapsulation=None if sparse is None else _shard_encapsulation(sparse, shard(sparse.from_sparse)),
    )


def digit_shards(keys: EvaluationKeys, placement: LimbPlacement, rank: int) -> dict[int, KeyShard]:
    """By Galois element, the digits that this device multiplies with where it aggregates: all their rows."""

    def shard(key: KeySwitchKey) -> KeyShard:
        limbs = key_limbs(key.params, key.level)
        return _rows_of(key, limbs, placement.own_digits(key.b.shape[0], rank))

    return {galois: shard(key) for galois, key in keys.rotations.items()}


def _shard_encapsulation(keys: EncapsulationKeys, from_sparse: KeyShard) -> EncapsulationKeys:
    return replace(keys, from_sparse=from_sparse)


def _rows_of(key: KeySwitchKey, limbs: Sequence[int], digits: Sequence[int]) -> KeyShard:
    places = {limb: row for row, limb in enumerate(key_limbs(key.params, key.level))}
    rows = [places[limb] for limb in limbs]
    return KeyShard(
        params=key.params,
        request=key.request,
        b=key.b[list(digits)][:, rows].contiguous(),
        seed=key.seed,
        limbs=tuple(limbs),
        digits=tuple(digits),
    )
