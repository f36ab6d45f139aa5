"""The three steps of a key switch: the algebra that hoisting and lower levels rest on, exactly."""

import math

import pytest
import torch

from aegis_fhe.ckks import Ciphertext, KeyRequest, keyswitch
from aegis_fhe.ckks.key_request import rotation_galois
from aegis_fhe.ckks.key_shape import half_bytes, key_limbs
from aegis_fhe.ckks.keys import uniform_half
from aegis_fhe.ckks.secret import generate_key
from aegis_fhe.ring.keyswitching import SwitchOperand
from ring import elementary

from . import textbook


@pytest.mark.parametrize("level", [0, 2, 3])
def test_decompose_is_centred_and_congruent(client, rng, level):
    p, ring = client.params, client.params.ring
    d = client.encrypt(client.random(rng), level=level).parts[1]
    digits = elementary.whole(keyswitch.decompose(p, d))
    limbs = key_limbs(p, level)
    for rows, digit in zip(p.digits(level), digits, strict=True):
        assert digit.shape == (len(limbs), p.degree)
        assert torch.equal(digit[rows[0] : rows[-1] + 1], d[rows[0] : rows[-1] + 1])
        values = ring.to_integers(ring.intt(digit, limbs), limbs)
        assert max(map(abs, values)) <= math.prod(p.q[i] for i in rows) // 2


@pytest.mark.parametrize("galois", [5, rotation_galois(-3, 2048), 4095])
def test_decompose_commutes_with_automorphisms_bit_for_bit(client, rng, galois):
    p, ring = client.params, client.params.ring
    d = client.encrypt(client.random(rng)).parts[1]
    rotated_first = elementary.whole(keyswitch.decompose(p, ring.automorphism(d, galois)))
    for first, digit in zip(rotated_first, elementary.whole(keyswitch.decompose(p, d)), strict=True):
        assert torch.equal(first, ring.automorphism(digit, galois))


def test_mod_down_commutes_with_automorphisms_bit_for_bit(client, rng):
    p, ring = client.params, client.params.ring
    digits = keyswitch.decompose(p, client.encrypt(client.random(rng)).parts[1])
    halves = client.evaluator.keys.relin.halves
    product = keyswitch.inner_product(p, digits, halves)
    expected = ring.automorphism(keyswitch.mod_down(p, product), 5)
    assert torch.equal(keyswitch.mod_down(p, ring.automorphism(product, 5)), expected)
    assert torch.equal(keyswitch.switch_key(p, [SwitchOperand(digits)], halves, galois=5)[0], expected)


def test_rotating_last_equals_rotating_first_bit_for_bit(client, rng):
    """The evaluator applies X -> X^g after the key switch; the textbook applies it before, with the rotated
    key.
    """
    p, ring = client.params, client.params.ring
    x, galois = client.encrypt(client.random(rng)), rotation_galois(5, client.params.degree)
    key, limbs = client.evaluator.keys.rotations[galois], key_limbs(p, 3)
    c0, c1 = ring.automorphism(x.parts, galois)
    digits = elementary.whole(keyswitch.decompose(p, c1))
    halves = [
        ring.dot(digits, list(ring.automorphism(half, galois)), limbs) for half in (key.halves.b, key.a)
    ]
    first = keyswitch.mod_down(p, torch.stack(halves))
    ring.add(first[0], c0, p.q_limbs(3), out=first[0])
    assert torch.equal(first, client.evaluator.rotate(x, 5).parts)


@pytest.mark.parametrize("level", [0, 1, 3])
def test_operations_equal_the_textbook_bit_for_bit(client, rng, level):
    """What joins the product as its P-fold gives the bits of what is added after the division."""
    p, ev = client.params, client.evaluator
    x, y = (ev.drop_to(client.encrypt(client.random(rng), scale=2.0**20), level) for _ in range(2))
    product = ev.multiply(x, y)
    assert torch.equal(ev.relinearize(product).parts, textbook.relinearized(p, ev.keys, product)[1].parts)
    single = {step: textbook.rotated_sum(p, ev.keys, [x], [step])[1].parts for step in (1, 5, -3, "conj")}
    for step, rotated in zip((1, 5, -3), ev.rotate_many(x, [1, 5, -3]), strict=True):
        assert torch.equal(rotated.parts, single[step])
        assert torch.equal(ev.rotate(x, step).parts, single[step])
    assert torch.equal(ev.conjugate(x).parts, single["conj"])
    for xs, steps in (([x, y], [1, 2]), ([x, y, x, x], [1, 0, 0, -3]), ([x, x, y, y], [5, 5, 2, 2])):
        expected = textbook.rotated_sum(p, ev.keys, xs, steps)[1].parts
        assert torch.equal(ev.rotate_sum(xs, steps).parts, expected)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_ciphertexts_dropped_to_lower_levels_are_read_where_they_lie(client, rng, level):
    ev = client.evaluator
    x = client.encrypt(client.random(rng), scale=2.0**20)
    view = ev.drop_to(x, level)
    copy = Ciphertext(parts=view.parts.contiguous(), scale=view.scale)
    assert not view.parts.is_contiguous()
    for operation in (
        lambda c: ev.rotate(c, 2),
        lambda c: ev.rotate_many(c, [1, -3])[1],
        ev.conjugate,
        lambda c: ev.rotate_sum([c, x, c], [1, 2, 0]),
        lambda c: ev.relinearize(ev.multiply(c, x)),
    ):
        assert torch.equal(operation(view).parts, operation(copy).parts)
    product = ev.multiply(x, x)
    dropped = ev.drop_to(product, level)
    copied = Ciphertext(parts=dropped.parts.contiguous(), scale=dropped.scale)
    assert torch.equal(ev.relinearize(dropped).parts, ev.relinearize(copied).parts)


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
    s = client.params.ring.place(client.secret.values[list(limbs)])
    square = ring.mul_scalar(ring.mul(s, s, limbs), [math.prod(p.p)] * len(limbs), limbs)
    for j, rows in enumerate(p.digits(2)):
        rest = ring.add(ring.place(key.b[j]), ring.mul(key.a[j], s, limbs), limbs)
        gadget = torch.zeros_like(rest)
        gadget[rows[0] : rows[-1] + 1] = square[rows[0] : rows[-1] + 1]
        error = ring.to_integers(ring.intt(ring.sub(rest, gadget, limbs), limbs), limbs)
        assert max(map(abs, error)) < 8 * 3.19
        assert any(error)
    assert key.stored_bytes == half_bytes(p, 2) + 32
