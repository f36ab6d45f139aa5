"""Each operation's signature, seen on residues: a component, a limb or an entry is changed at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from aegis_fhe.circuits.bootstrap import presets as bootstraps
from aegis_fhe.ckks import (
    Ciphertext,
    EvaluationKeys,
    Evaluator,
    KeyRequest,
    Parameters,
    SlotVector,
    keyswitch,
    presets,
)
from aegis_fhe.ckks.key_shape import key_limbs
from aegis_fhe.ckks.secret import SecretKey, evaluation_keys
from aegis_fhe.errors import ParameterError
from aegis_fhe.placement.coupling import CIPHERTEXT_AXES, Coupling, Signature
from aegis_fhe.placement.coupling.operations import OPERATIONS, PASSING, joined
from aegis_fhe.ring.keyswitching import Digits
from ring import elementary

from .observed import Observer

Array = np.ndarray
SCALE = 2.0**40
STEP = 1


@dataclass
class Bench:
    """N = 32, 4 + 2 limbs or more, 2 digits of 2; arrays [component, limb, entry], digits last."""

    params: Parameters
    evaluator: Evaluator
    rng: np.random.Generator

    @classmethod
    def new(cls) -> Bench:
        params = presets.insecure(5, 3, 2)
        secret = SecretKey.generate(params)
        requests = [KeyRequest(name, params.max_level) for name in ("relin", "conj", STEP)]
        keys = EvaluationKeys.collect(params, evaluation_keys(secret, requests))
        return cls(params, Evaluator(params, keys), np.random.default_rng(1))

    @property
    def limbs(self) -> tuple[int, ...]:
        return key_limbs(self.params, self.params.max_level)

    def moduli(self, rows: int) -> Array:
        return np.array([(*self.params.q, *self.params.p)[limb] for limb in self.limbs[:rows]])

    def residues(self, components: int, rows: int, *digits: int) -> Array:
        shape = (components, rows, self.params.degree, *digits)
        moduli = self.moduli(rows).reshape(1, rows, *([1] * (len(shape) - 2)))
        return self.rng.integers(0, moduli, shape)

    def ciphertext(self, x: Array) -> Ciphertext:
        return Ciphertext(parts=torch.from_numpy(x.copy()), scale=SCALE)

    def observer(self, function: Callable[[Array], Array], x: Array) -> Observer:
        def redraw(y: Array) -> Array:
            return self.residues(*y.shape[:2], *y.shape[3:])

        def same(a: Array, b: Array) -> Array:
            moduli = self.moduli(a.shape[1]).reshape(1, -1, *([1] * (a.ndim - 2)))
            agree: Array = (a - b) % moduli == 0
            return agree

        return Observer(function, x, redraw, same)

    def on_ciphertexts(self, operation: Callable[[Ciphertext], Ciphertext]) -> Callable[[Array], Array]:
        return lambda x: operation(self.ciphertext(x)).parts.numpy()

    def mod_up(self, x: Array) -> Array:
        digits = elementary.whole(keyswitch.decompose(self.params, torch.from_numpy(x[0].copy())))
        return np.stack([digit.numpy() for digit in digits], axis=-1)[None]

    def inner_product(self, x: Array) -> Array:
        """x: c_0 in the first digit's place, then the digits of c_1."""
        rows = torch.from_numpy(np.ascontiguousarray(np.moveaxis(x[1], -1, 0)))
        digits = Digits.of_rows(rows, len(self.params.q), self.limbs)
        c0 = torch.from_numpy(x[0, : len(self.params.q), :, 0].copy())
        key = self.evaluator.keys.find(KeyRequest(STEP, self.params.max_level), self.params.degree)
        galois = key.request.galois(self.params.degree)
        return keyswitch.add_inner_product(self.params, None, digits, key.halves, galois, (c0,)).numpy()

    def mod_down(self, x: Array) -> Array:
        return keyswitch.mod_down(self.params, torch.from_numpy(x.copy())).numpy()

    def lift(self, x: Array) -> Array:
        """What raises a modulus between its two key switches."""
        ring, limbs = self.params.ring, self.limbs[: len(self.params.q)]
        lifted = [
            ring.ntt(ring.convert(ring.intt(torch.from_numpy(c.copy()), limbs[:1]), limbs[:1], limbs), limbs)
            for c in x
        ]
        return torch.stack(lifted).numpy()


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench.new()


def cases(b: Bench) -> dict[str, list[Observer]]:
    """By operation: it, and what counts under its name."""
    e, q, qp = b.evaluator, len(b.params.q), len(b.limbs)
    plain = SlotVector(b.rng.uniform(-1, 1, b.params.slots))
    other = b.ciphertext(b.residues(2, q))
    ciphertexts: dict[str, list[Callable[[Ciphertext], Ciphertext]]] = {
        "add": [
            lambda x: e.add(x, other),
            lambda x: e.sub(other, x),
            e.negate,
            e.mul_i,
            lambda x: e.mul_integer(x, 3),
            lambda x: e.add_scalar(x, 0.5),
        ],
        "addend": [lambda x: e.sum([other, other, x])],
        "plain add": [lambda x: e.add_plain(x, plain)],
        "plain product": [lambda x: e.mul_plain(x, plain, SCALE)],
        "scalar product": [lambda x: e.mul_scalar(x, 0.3, SCALE)],
        "scalar term": [lambda x: e.linear_combination([x, other], [0.3, 2.0], SCALE**2, constant=0.5)],
        "product": [lambda x: e.multiply(x, other), lambda x: e.multiply(other, x)],
        "rescale": [e.rescale],
        "key switch": [e.conjugate],
    }
    found = {
        name: [b.observer(b.on_ciphertexts(f), b.residues(2, q)) for f in functions]
        for name, functions in ciphertexts.items()
    }
    found["key switch"].append(b.observer(b.on_ciphertexts(e.relinearize), b.residues(3, q)))
    digits = len(b.params.digits(b.params.max_level))
    found["mod up"] = [b.observer(b.mod_up, b.residues(1, q))]
    found["accumulated rotation"] = [b.observer(b.inner_product, b.residues(2, qp, digits))]
    found["rotation"] = [
        b.observer(lambda x: b.mod_down(b.inner_product(x)), b.residues(2, qp, digits)),
    ]
    found["mod down"] = [b.observer(b.mod_down, b.residues(2, qp))]
    found["bootstrap"] = [b.observer(b.lift, b.residues(2, 1))]
    return found


def test_every_signature_is_what_is_seen(bench: Bench):
    found = cases(bench)
    assert set(found) == set(OPERATIONS)
    for name, observers in found.items():
        for observer in observers:
            seen = {axis: observer.coupling(number) for number, axis in enumerate(CIPHERTEXT_AXES)}
            assert Signature(**seen) == OPERATIONS[name], name


def test_a_rotation_from_its_ciphertext_gathers(bench: Bench):
    """ModUp and rotation in a row: what is joined is never less than what is seen."""
    e, q = bench.evaluator, len(bench.params.q)
    declared = joined({"mod up": 1, "rotation": 1})
    for operation, counts in (
        (lambda x: e.rotate(x, STEP), declared),
        (lambda x: e.rotate_sum_rescale([x, x], [0, STEP]), declared),
        (lambda x: e.rescale(e.rescale(x)), joined({"rescale": 2})),
    ):
        observer = bench.observer(bench.on_ciphertexts(operation), bench.residues(2, q))
        for number, axis in enumerate(CIPHERTEXT_AXES):
            assert observer.coupling(number) <= counts.of(axis), axis
    assert joined({"rescale": 2}).limb is Coupling.GATHERED
    assert joined({"rescale": 1}).limb is Coupling.CONTRACTED


def test_every_operation_of_a_bootstrap_is_known():
    """Whose counts have every name but those of products."""
    counted = set(bootstraps.insecure(9, levels_left=1).counts.totals())
    assert counted - PASSING <= set(OPERATIONS)
    assert len(counted) > 8
    with pytest.raises(ParameterError, match="'teleport' couples"):
        joined({"teleport": 1})
