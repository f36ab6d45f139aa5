"""The three steps of a key switch: the algebra that hoisting and lower levels rest on, exactly."""

import math

import pytest
import torch

from aegis_fhe.ckks import KeyRequest, keyswitch
from aegis_fhe.ckks.keys import half_bytes, key_limbs, rotation_galois, uniform_half
from aegis_fhe.ckks.secret import generate_key


@pytest.mark.parametrize("level", [0, 2, 3])
def test_decompose_is_centred_and_congruent(client, rng, level):
    p, ring = client.params, client.params.ring
    d = client.encrypt(client.random(rng), level=level).parts[1]
    digits = keyswitch.decompose(p, d)
    limbs = key_limbs(p, level)
    assert digits.shape == (len(p.digits(level)), len(limbs), p.degree)
    for rows, digit in zip(p.digits(level), digits, strict=True):
        assert torch.equal(digit[rows[0] : rows[-1] + 1], d[rows[0] : rows[-1] + 1])
        values = ring.to_integers(ring.intt(digit, limbs), limbs)
        assert max(map(abs, values)) <= math.prod(p.q[i] for i in rows) // 2


@pytest.mark.parametrize("galois", [5, rotation_galois(-3, 2048), 4095])
def test_decompose_commutes_with_automorphisms_bit_for_bit(client, rng, galois):
    p, ring = client.params, client.params.ring
    d = client.encrypt(client.random(rng)).parts[1]
    rotated_first = keyswitch.decompose(p, ring.automorphism(d, galois))
    assert torch.equal(rotated_first, ring.automorphism(keyswitch.decompose(p, d), galois))


def test_mod_down_commutes_with_automorphisms_bit_for_bit(client, rng):
    p, ring = client.params, client.params.ring
    digits = keyswitch.decompose(p, client.encrypt(client.random(rng)).parts[1])
    product = keyswitch.inner_product(p, digits, client.evaluator.keys.relin)
    assert torch.equal(
        keyswitch.mod_down(p, ring.automorphism(product, 5)),
        ring.automorphism(keyswitch.mod_down(p, product), 5),
    )


def test_rotating_last_equals_rotating_first_bit_for_bit(client, rng):
    """The evaluator applies X -> X^g after the key switch; the textbook applies it before, with the rotated
    key.
    """
    p, ring = client.params, client.params.ring
    x, galois = client.encrypt(client.random(rng)), rotation_galois(5, client.params.degree)
    key, limbs = client.evaluator.keys.rotations[galois], key_limbs(p, 3)
    c0, c1 = ring.automorphism(x.parts, galois)
    digits = keyswitch.decompose(p, c1)
    halves = [ring.dot(list(digits), list(ring.automorphism(half, galois)), limbs) for half in (key.b, key.a)]
    first = keyswitch.mod_down(p, torch.stack(halves))
    ring.add(first[0], c0, p.q_limbs(3), out=first[0])
    assert torch.equal(first, client.evaluator.rotate(x, 5).parts)


def test_a_key_at_a_lower_level_is_the_same_as_its_rows(client):
    """Same seed, two levels: the lower key consists of rows of the higher one wherever no digit is cut."""
    p = client.params
    high = generate_key(client.secret, KeyRequest(1, 3), seed=b"test")
    assert torch.equal(high.a, uniform_half(p, 3, high.seed))
    low = uniform_half(p, 1, high.seed)
    assert torch.equal(low[0], torch.cat((high.a[0, :2], high.a[0, 4:])))


def test_key_equation(client):
    """b_j + a_j s_out - P g_j s_in is a small error in every digit and limb."""
    p, ring = client.params, client.params.ring
    key = generate_key(client.secret, KeyRequest("relin", 2))
    limbs = key_limbs(p, 2)
    s = client.secret.values[list(limbs)]
    square = ring.mul_scalar(ring.mul(s, s, limbs), [math.prod(p.p)] * len(limbs), limbs)
    for j, rows in enumerate(p.digits(2)):
        rest = ring.add(key.b[j], ring.mul(key.a[j], s, limbs), limbs)
        gadget = torch.zeros_like(rest)
        gadget[rows[0] : rows[-1] + 1] = square[rows[0] : rows[-1] + 1]
        error = ring.to_integers(ring.intt(ring.sub(rest, gadget, limbs), limbs), limbs)
        assert max(map(abs, error)) < 8 * 3.19
        assert any(error)
    assert key.stored_bytes == half_bytes(p, 2) + 32
