"""What one device holds of ciphertexts and keys whose limbs are shared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch

from aegis_fhe.ckks.ciphertext import Ciphertext, require_scale
from aegis_fhe.ckks.key_request import FROM_SPARSE, RELINEARISATION, TO_SPARSE
from aegis_fhe.ckks.key_shape import key_limbs
from aegis_fhe.ckks.keys import EvaluationKeys, KeySwitchKey, digit_label
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.device_keys import HeldKey
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.ring.arena import Arena
from aegis_fhe.ring.sampling import uniform


@dataclass(frozen=True, kw_only=True, eq=False)
class LimbShard(Ciphertext):
    """parts: the rows of one device, perhaps none at a low level; the level is that of the whole."""

    whole_level: int

    def __post_init__(self) -> None:
        assert self.parts.dim() == 3, self.parts.shape
        require_scale(self.scale)
        self._know(self.whole_level)


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


def shard_ciphertext(
    x: Ciphertext, placement: LimbPlacement, rank: int, arena: Arena | None = None
) -> LimbShard:
    """A device's rows of a whole ciphertext, copied, into its arena where one is given."""
    rows = torch.tensor(placement.q_limbs(x.level, rank), dtype=torch.int64, device=x.parts.device)
    out = None if arena is None else arena.empty((x.components, len(rows), x.parts.shape[-1]))
    parts = torch.index_select(x.parts, 1, rows, out=out)
    return LimbShard(parts=parts, scale=x.scale, whole_level=x.level)


def held_keys(
    params: Parameters,
    keys: EvaluationKeys,
    held: Iterable[HeldKey],
    viewed: Iterable[KeySwitchKey] = (),
) -> EvaluationKeys:
    """What a device holds, out of keys that are whole, and others that it has already.

    Raises MissingKeyError.
    """
    own: dict[int | str, KeySwitchKey] = {key.request.step: key for key in viewed}
    own |= {one.request.step: held_key(params, keys, one) for one in held}
    sparse = None
    if keys.encapsulation is not None and FROM_SPARSE in own:
        sparse = replace(keys.encapsulation, to_sparse=own[TO_SPARSE], from_sparse=own[FROM_SPARSE])
    return EvaluationKeys(
        fingerprint=keys.fingerprint,
        relin=own.get(RELINEARISATION),
        rotations={
            galois: key for key in own.values() if (galois := key.request.galois(params.degree)) is not None
        },
        encapsulation=sparse,
    )


def held_key(params: Parameters, keys: EvaluationKeys, held: HeldKey) -> KeyShard:
    """The rows of one key, copied into the arena; a key that is held whole stays where it is.

    Raises MissingKeyError.
    """
    key = keys.find(held.request, params.degree)
    every = key_limbs(key.params, key.level)
    b = key.b
    if (held.limbs, len(held.digits)) != (every, b.shape[0]):
        rows = torch.tensor([every.index(limb) for limb in held.limbs], dtype=torch.int64)
        b = params.ring.host.arena.empty((len(held.digits), len(rows), params.degree))
        for digit, to in zip(held.digits, b, strict=True):
            torch.index_select(key.b[digit], 0, rows, out=to)
    return KeyShard(
        params=params if key.params.fingerprint() == params.fingerprint() else key.params,
        request=held.request,
        b=b,
        seed=key.seed,
        limbs=held.limbs,
        digits=held.digits,
    )
