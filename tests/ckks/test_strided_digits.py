"""Digits that take every dnum-th limb: the same key switch with another partition."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from aegis_fhe.ckks import KeyRequest, Parameters, keyswitch, presets
from ring import elementary

from . import textbook
from .conftest import Client

STEPS = (1, 5, -3)


@pytest.fixture(scope="module")
def strided() -> Client:
    params = replace(presets.insecure(9, levels=6, digit_size=3), strided=True)
    top = params.max_level
    return Client.new(params, [KeyRequest("relin", top), *(KeyRequest(step, top) for step in STEPS)])


def test_digits_take_limbs_in_turn_at_every_level(strided):
    p = strided.params
    assert p.digits(6) == ((0, 3, 6), (1, 4), (2, 5))
    assert p.digits(3) == ((0, 3), (1,), (2,))
    assert p.digits(1) == ((0,), (1,))
    assert Parameters.from_dict(p.to_dict()) == p
    assert p.fingerprint() != replace(p, strided=False).fingerprint()
    assert "strided" not in replace(p, strided=False).to_dict()  # older files stay as they are


@pytest.mark.parametrize("level", [0, 1, 4, 6])
def test_every_digit_is_centred_and_congruent(strided, rng, level):
    p, ring = strided.params, strided.params.ring
    d = strided.encrypt(strided.random(rng), level=level).parts[1]
    limbs = [*p.q_limbs(level), *p.p_limbs]
    digits = elementary.whole(keyswitch.decompose(p, d))
    assert len(digits) == len(p.digits(level))
    for own, digit in zip(p.digits(level), digits, strict=True):
        assert torch.equal(digit[list(own)], d[list(own)])
        values = ring.to_integers(ring.intt(digit, limbs), limbs)
        assert max(map(abs, values)) <= math.prod(p.q[i] for i in own) // 2


@pytest.mark.parametrize("level", [1, 4, 6])
def test_operations_equal_the_textbook_and_their_message(strided, rng, level):
    p, ev = strided.params, strided.evaluator
    values = strided.random(rng)
    x = ev.drop_to(strided.encrypt(values), level)
    for step in STEPS:
        rotated = ev.rotate(x, step)
        assert torch.equal(rotated.parts, textbook.rotated_sum(p, ev.keys, [x], [step])[1].parts)
        np.testing.assert_allclose(strided.decrypt(rotated), np.roll(values, -step), atol=1e-6)
    product = ev.relinearize_rescale(ev.multiply(x, x))
    np.testing.assert_allclose(strided.decrypt(product), values**2, atol=1e-5)
    total = ev.rotate_sum([x, x, x], [1, 0, 5])
    assert torch.equal(total.parts, textbook.rotated_sum(p, ev.keys, [x, x, x], [1, 0, 5])[1].parts)
