"""Operations that switch keys: slots move as promised, hoisting changes no bit, missing keys are named."""

import numpy as np
import pytest
import torch

from aegis_fhe.ckks import EvaluationKeys, Evaluator, KeyRequest, noise, presets
from aegis_fhe.ckks.secret import evaluation_keys, generate_key
from aegis_fhe.errors import CompatibilityError, LevelError, MissingKeyError

from .conftest import STEPS, Client


def limit(client, coefficient_noise, scale):
    return noise.worst_slot_error(client.params, coefficient_noise, scale)


def assert_slots(client, ciphertext, expected, switches=1):
    p = client.params
    total = noise.sum_noise(noise.fresh_noise(p), *[noise.key_switch_noise(p, ciphertext.level)] * switches)
    assert np.abs(client.decrypt(ciphertext) - expected).max() < limit(client, total, ciphertext.scale)


@pytest.mark.parametrize("level", [0, 1, 2, 3])
@pytest.mark.parametrize("step", STEPS)
def test_rotation_moves_slots_left_with_one_key_for_all_levels(client, rng, step, level):
    """The keys are made for level 3: every lower level uses their first rows and digits."""
    a = client.random(rng)
    rotated = client.evaluator.rotate(client.encrypt(a, level=level), step)
    assert (rotated.level, rotated.scale) == (level, 2.0**40)
    assert_slots(client, rotated, np.roll(a, -step))


def test_steps_are_modulo_the_slots(client, rng):
    x = client.encrypt(client.random(rng))
    ev, slots = client.evaluator, client.params.slots
    assert torch.equal(ev.rotate(x, 5 - slots).parts, ev.rotate(x, 5).parts)
    assert ev.rotate(x, 0) is x
    assert ev.rotate(x, 2 * slots) is x


def test_conjugation(client, rng):
    a = client.random(rng)
    assert_slots(client, client.evaluator.conjugate(client.encrypt(a)), a.conj())


def test_relinearisation(client, rng):
    a, b = client.random(rng), client.random(rng)
    ev, p = client.evaluator, client.params
    x = client.encrypt(a)
    assert ev.relinearize(x) is x
    product = ev.rescale(ev.relinearize(ev.multiply(x, client.encrypt(b))))
    assert (product.components, product.level, product.scale) == (2, 2, 2.0**80 / p.q[3])
    fresh, norm = noise.fresh_noise(p), noise.message_norm(p, np.sqrt(2 / 3), 2.0**40)
    before = noise.sum_noise(noise.product_noise(p, fresh, norm, fresh, norm), noise.key_switch_noise(p, 3))
    expected = noise.rescale_noise(p, before, 3)
    assert np.abs(client.decrypt(product) - a * b).max() < limit(client, expected, product.scale)


def test_hoisted_rotations_equal_single_ones_bit_for_bit(client, rng):
    x = client.encrypt(client.random(rng))
    for level in (3, 2):
        dropped = client.evaluator.drop_to(x, level)
        hoisted = client.evaluator.rotate_many(dropped, [*STEPS, 0])
        for step, rotated in zip([*STEPS, 0], hoisted, strict=True):
            assert torch.equal(rotated.parts, client.evaluator.rotate(dropped, step).parts)
    assert client.evaluator.rotate_many(x, []) == []


def test_rotations_of_several_equal_those_of_each_bit_for_bit(client, rng):
    """More than share a key at once, and of two levels."""
    ev = client.evaluator
    xs = [client.encrypt(client.random(rng), level=level) for level in (3, 2, 3, 3, 2, 3, 3)]
    found = ev.rotate_many_each(xs, [*STEPS, 0])
    for x, rotated in zip(xs, found, strict=True):
        for own, expected in zip(rotated, ev.rotate_many(x, [*STEPS, 0]), strict=True):
            assert torch.equal(own.parts, expected.parts)
        assert rotated[-1] is x
    assert ev.rotate_many_each([], STEPS) == []


def test_relinearisations_of_several_equal_those_of_each_bit_for_bit(client, rng):
    ev = client.evaluator
    xs = [client.encrypt(client.random(rng), level=level) for level in (3, 2, 3, 3, 2, 3, 3)]
    products = [ev.multiply(x, x) for x in xs] + [xs[0]]
    found = ev.relinearize_rescale_each(products)
    for x, own in zip(products, found, strict=True):
        expected = ev.relinearize_rescale(x)
        assert (own.level, own.scale) == (expected.level, expected.scale)
        assert torch.equal(own.parts, expected.parts)
    with pytest.raises(LevelError, match="cannot rescale at level 0"):
        ev.relinearize_rescale_each([products[0], ev.drop_to(products[1], 0)])


def test_rotate_sum(client, rng):
    a, b = client.random(rng), client.random(rng)
    x, y = client.encrypt(a), client.encrypt(b, level=2)
    ev = client.evaluator
    total = ev.rotate_sum([x, y, x, x, y], [1, 2, 0, -3, 0])
    assert total.level == 2
    expected = np.roll(a, -1) + np.roll(b, -2) + a + np.roll(a, 3) + b
    p = client.params
    predicted = noise.sum_noise(*[noise.fresh_noise(p)] * 5, *[noise.key_switch_noise(p, 2)])
    assert np.abs(client.decrypt(total) - expected).max() < limit(client, predicted, total.scale)


def test_rotate_sum_of_one_term_equals_a_rotation(client, rng):
    x = client.encrypt(client.random(rng))
    assert torch.equal(client.evaluator.rotate_sum([x], [5]).parts, client.evaluator.rotate(x, 5).parts)
    assert torch.equal(client.evaluator.rotate_sum([x], [0]).parts, x.parts)


def test_missing_keys_are_named_with_their_level(client, rng):
    x = client.encrypt(client.random(rng))
    with pytest.raises(MissingKeyError, match="rotation by 7 at level 3"):
        client.evaluator.rotate(x, 7)
    few = EvaluationKeys.collect(client.params, evaluation_keys(client.secret, [KeyRequest(1, 1)]))
    ev = Evaluator(client.params, few)
    assert ev.rotate(ev.drop_to(x, 1), 1).level == 1
    with pytest.raises(MissingKeyError, match=r"rotation by 1 serves levels up to 1.*level 3"):
        ev.rotate(x, 1)
    with pytest.raises(MissingKeyError, match="conjugation at level 3"):
        ev.conjugate(x)
    with pytest.raises(MissingKeyError, match="relinearisation at level 3"):
        ev.relinearize(ev.multiply(x, x))


def test_three_components_are_refused(client, rng):
    x = client.encrypt(client.random(rng))
    product = client.evaluator.multiply(x, x)
    ev = client.evaluator
    for operation in (
        lambda: ev.rotate(product, 1),
        lambda: ev.conjugate(product),
        lambda: ev.rotate_sum([product], [1]),
    ):
        with pytest.raises(CompatibilityError, match="relinearize"):
            operation()
    for xs, steps in (([], []), ([x], [1, 2])):
        with pytest.raises(CompatibilityError):
            ev.rotate_sum(xs, steps)


def test_keys_of_other_parameters_are_refused(client):
    other = Client.new(presets.insecure(10, 1, 1), [])
    with pytest.raises(CompatibilityError, match="other parameters"):
        Evaluator(client.params, other.evaluator.keys)
    key = generate_key(other.secret, KeyRequest("relin", 0))
    with pytest.raises(CompatibilityError, match="relinearisation"):
        EvaluationKeys.collect(client.params, [key])
    with pytest.raises(CompatibilityError, match="'square'"):
        KeyRequest("square", 0)
    with pytest.raises(LevelError):
        generate_key(client.secret, KeyRequest(1, 4))


def test_of_two_keys_the_higher_level_stays(client):
    keys = list(evaluation_keys(client.secret, [KeyRequest(1, 2), KeyRequest(1, 1)]))
    for order in (keys, keys[::-1]):
        (kept,) = EvaluationKeys.collect(client.params, order).rotations.values()
        assert kept.level == 2
