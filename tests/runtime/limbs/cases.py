"""Keys, ciphertexts and a circuit of every operation, all from fixed seeds; shards of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aegis_fhe.ckks import (
    Ciphertext,
    EvaluationKeys,
    Evaluator,
    KeyRequest,
    KeySwitchKey,
    Parameters,
    SlotVector,
    presets,
)
from aegis_fhe.ckks.key_request import TO_SPARSE
from aegis_fhe.ckks.key_shape import key_limbs
from aegis_fhe.ckks.secret import SecretKey, encrypt, evaluation_keys
from aegis_fhe.placement.device_keys import HeldKey
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.runtime.collectives import Communicator
from aegis_fhe.runtime.limbs import LimbEvaluator, held_keys, shard_ciphertext

STEPS = (1, 2, 3, 5)


@dataclass(frozen=True)
class Case:
    """Seven limbs in digits of one to three."""

    params: Parameters
    secret: SecretKey
    keys: EvaluationKeys
    inputs: list[Ciphertext]
    values: list[np.ndarray]

    @classmethod
    def of(cls, digit_size: int, *, strided: bool) -> Case:
        params = replace(presets.insecure(8, levels=6, digit_size=digit_size), strided=strided)
        secret, top = SecretKey.generate(params, seed=b"limbs"), params.max_level
        requests = [KeyRequest(step, top) for step in ("relin", "conj", *STEPS)]
        keys = EvaluationKeys.collect(params, evaluation_keys(secret, requests, seed=b"limbs"))
        rng = np.random.default_rng(3)
        values = [rng.uniform(-1, 1, params.slots) for _ in range(4)]
        inputs = [
            encrypt(secret, SlotVector(v), level=top, seed=b"%d" % i).expand(params)
            for i, v in enumerate(values)
        ]
        return cls(params, secret, keys, inputs, values)

    def placement(self, world_size: int, **choices: Any) -> LimbPlacement:
        count = len(self.params.digits(self.params.max_level))
        return LimbPlacement(
            world_size=world_size,
            limbs=len(self.params.q),
            specials=len(self.params.p),
            digits=count if self.params.strided else 0,
            **choices,
        )

    def evaluator(self, placement: LimbPlacement, communicator: Communicator) -> LimbEvaluator:
        rank, aggregates = communicator.rank, placement.aggregation != "none"
        return LimbEvaluator(
            self.params,
            shard_keys(self.params, self.keys, placement, rank),
            placement,
            communicator,
            digit_keys=digit_shards(self.params, self.keys, placement, rank) if aggregates else None,
        )

    def sharded(self, placement: LimbPlacement, communicator: Communicator) -> list[Ciphertext]:
        """What a device makes of its shares."""
        evaluator = self.evaluator(placement, communicator)
        return circuit(evaluator, [shard_ciphertext(x, placement, communicator.rank) for x in self.inputs])

    def single(self) -> list[Ciphertext]:
        return circuit(Evaluator(self.params, self.keys), self.inputs)


def circuit(backend: Any, xs: list[Any]) -> list[Any]:
    """Every operation, down to level 0, where most devices hold nothing."""
    a, b, c, d = xs
    made = [backend.relinearize(backend.multiply(a, b))]
    e = backend.relinearize_rescale(backend.multiply_sum([a, b], [c, d]))
    made += [e, *backend.rotate_many(e, [1, 2, 0, 5]), backend.conjugate(e), backend.mul_i(e)]
    made.append(backend.rotate_sum([a, b, c, d, a], [1, 2, 3, 0, 5]))
    many = [*xs, *(backend.negate(x) for x in xs)]  # so many sources that aggregation pays
    made.append(backend.rotate_sum(many, [*STEPS, *reversed(STEPS)]))
    made.append(backend.rotate_sum_rescale([a, b], [0, 0]))
    f = backend.rotate_sum_rescale([a, b, c, d, a], [1, 2, 3, 0, 5])
    ramp = SlotVector(np.linspace(-1, 1, 128))
    for _ in range(5):
        f = backend.rescale(backend.mul_plain(backend.add_scalar(f, 0.25), ramp, 2.0**40))
        sums = backend.mul_plain_sums(
            [f, f],
            [[SlotVector(np.ones(8)), None], [SlotVector(np.ones(4)), SlotVector(np.arange(16.0))]],
            8.0,
        )
        made += [f, *sums, backend.rotate_sum([f, backend.negate(f)], [1, 2]), backend.rotate(f, 3)]
    made.append(backend.sub(backend.add_plain(made[0], ramp), backend.drop_to(made[0], 2)))
    made.append(backend.mul_scalar(backend.drop_to(a, 0), 0.5, 4.0))
    made.append(
        backend.linear_combination([a, c], [0.5, -1.0], 2.0**80, constant=0.25, onto=backend.multiply(a, b))
    )
    made.append(backend.linear_combination([backend.drop_to(a, 0)], [0.5], a.scale * 4.0))
    return made


def digest(parts: Any) -> str:
    return hashlib.sha256(parts.contiguous().numpy().tobytes()).hexdigest()


def shard_keys(
    params: Parameters, keys: EvaluationKeys, placement: LimbPlacement, rank: int
) -> EvaluationKeys:
    """A device's rows of all keys at their own levels, as no plan says which it uses: all digits in its
    limbs; that to the sparse secret whole.
    """

    def held(key: KeySwitchKey) -> HeldKey:
        limbs = placement.q_limbs(key.level, rank) + placement.p_limbs(rank)
        if key.request.step == TO_SPARSE:
            limbs = key_limbs(key.params, key.level)
        return HeldKey(request=key.request, limbs=limbs, digits=tuple(range(key.b.shape[0])))

    sparse = keys.encapsulation
    every = [*keys.rotations.values(), *([] if keys.relin is None else [keys.relin])]
    every += [] if sparse is None else [sparse.to_sparse, sparse.from_sparse]
    return held_keys(params, keys, map(held, every))


def digit_shards(
    params: Parameters, keys: EvaluationKeys, placement: LimbPlacement, rank: int
) -> Mapping[int, KeySwitchKey]:
    """Its digits of the keys of rotations in all limbs."""
    held = (
        HeldKey(
            request=key.request,
            limbs=key_limbs(key.params, key.level),
            digits=placement.own_digits(key.b.shape[0], rank),
        )
        for key in keys.rotations.values()
    )
    return held_keys(params, keys, held).rotations
