"""Keyless operations against numpy: values, exact scales, levels, and the errors for what does not fit."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from aegis_fhe.ckks import Ciphertext, SlotVector, noise
from aegis_fhe.ckks.arithmetic import scaled_integer
from aegis_fhe.errors import CompatibilityError, LevelError, RangeError, ScaleError


def bound(client, coefficient_noise, scale):
    """Worst error to expect among all slots."""
    return noise.worst_slot_error(client.params, coefficient_noise, scale)


def assert_slots(client, ciphertext, expected, coefficient_noise):
    error = np.abs(client.decrypt(ciphertext) - expected).max()
    assert error < bound(client, coefficient_noise, ciphertext.scale)


def test_sums(client, rng):
    a, b = client.random(rng), client.random(rng)
    x, y = client.encrypt(a), client.encrypt(b)
    ev, fresh = client.evaluator, noise.fresh_noise(client.params)
    assert_slots(client, ev.add(x, y), a + b, noise.sum_noise(fresh, fresh))
    assert_slots(client, ev.sub(x, y), a - b, noise.sum_noise(fresh, fresh))
    assert_slots(client, ev.negate(x), -a, fresh)
    assert ev.level(ev.add(x, y)) == 3
    assert ev.scale(ev.add(x, y)) == 2.0**40
    assert ev.slots == client.params.slots


def test_sums_meet_at_the_lower_level(client, rng):
    a, b = client.random(rng), client.random(rng)
    ev, fresh = client.evaluator, noise.fresh_noise(client.params)
    low, high = client.encrypt(a, level=1), client.encrypt(b)
    for total, expected in (
        (ev.add(low, high), a + b),
        (ev.sub(low, high), a - b),
        (ev.sub(high, low), b - a),
    ):
        assert total.level == 1
        assert_slots(client, total, expected, noise.sum_noise(fresh, fresh))


def test_sums_mix_two_and_three_components(client, rng):
    a, b = client.random(rng), client.random(rng)
    ev = client.evaluator
    product = ev.multiply(client.encrypt(a, scale=2.0**20), client.encrypt(b, scale=2.0**20))
    other = client.encrypt(b)
    for total, expected in ((ev.add(product, other), a * b + b), (ev.sub(other, product), b - a * b)):
        assert total.components == 3
        assert np.abs(client.decrypt(total) - expected).max() < 2.0**-8


def test_scales_must_agree_to_30_bits(client, rng):
    ev, x = client.evaluator, client.encrypt(client.random(rng))
    assert ev.add(x, ev.with_scale(x, x.scale * (1 + 2.0**-31))).scale == x.scale
    for operation in (ev.add, ev.sub):
        with pytest.raises(ScaleError, match="2\\^40"):
            operation(x, ev.with_scale(x, x.scale * (1 + 2.0**-29)))
    with pytest.raises(ScaleError):
        ev.with_scale(x, 0.0)


def test_scalars(client, rng):
    a = client.random(rng)
    x, ev, fresh = client.encrypt(a), client.evaluator, noise.fresh_noise(client.params)
    assert_slots(client, ev.add_scalar(x, -1.25), a - 1.25, fresh)
    assert_slots(client, ev.mul_integer(x, -7), -7 * a, 7 * fresh)
    product = ev.mul_scalar(x, 0.3, 2.0**40)
    assert product.scale == 2.0**80
    rounding = noise.message_norm(client.params, 1.0, 2.0**40)
    assert_slots(client, product, 0.3 * a, noise.sum_noise(0.3 * 2.0**40 * fresh, rounding))


def test_add_scalar_is_exact_at_large_scales(client):
    """round(c * scale) is an integer of 80 bits and more: no float64 may stand between."""
    ev = client.evaluator
    x = ev.mul_scalar(client.encrypt(0.0), 1.0, 2.0**40)
    shifted = client.difference(client.phase(ev.add_scalar(x, 1 / 3)), client.phase(ev.add_scalar(x, 0.0)))
    assert shifted[0] == float(round(2**80 * (1 / 3)))
    assert not shifted[1:].any()


def test_multiply_and_lazy_sum_of_products(client, rng):
    values = [client.random(rng) for _ in range(4)]
    cts = [client.encrypt(v) for v in values]
    ev, p = client.evaluator, client.params
    fresh, norm = noise.fresh_noise(p), noise.message_norm(p, np.sqrt(2 / 3), 2.0**40)
    one = noise.product_noise(p, fresh, norm, fresh, norm)
    product = ev.multiply(cts[0], cts[1])
    assert (product.components, product.scale, product.level) == (3, 2.0**80, 3)
    assert_slots(client, product, values[0] * values[1], one)
    lazy = ev.multiply_sum(cts[:2], [cts[2], ev.drop_to(cts[3], 2)])
    assert lazy.level == 2
    assert_slots(client, lazy, values[0] * values[2] + values[1] * values[3], noise.sum_noise(one, one))
    eager = ev.add(ev.multiply(cts[0], cts[2]), ev.multiply(cts[1], cts[3]))
    assert torch.equal(ev.drop_to(eager, 2).parts, lazy.parts)


def test_a_sum_is_one_addition_after_the_other(client, rng):
    ev = client.evaluator
    xs = [client.encrypt(client.random(rng), level=level) for level in (3, 2, 3)]
    total = ev.sum(xs)
    expected = ev.add(ev.add(xs[0], xs[1]), xs[2])
    assert (total.level, total.scale) == (2, xs[0].scale)
    assert torch.equal(total.parts, expected.parts)
    assert ev.sum(xs[:1]) is xs[0]
    for wrong in ([], [xs[0], ev.multiply(xs[0], xs[0])]):
        with pytest.raises(CompatibilityError, match="components"):
            ev.sum(wrong)
    with pytest.raises(ScaleError):
        ev.sum([xs[0], ev.with_scale(xs[2], 2.0**39)])


def test_a_linear_combination_is_one_term_added_after_the_other(client, rng):
    """Bit for bit, of operands at other levels and scales, of unrelinearised products, onto another sum."""
    ev = client.evaluator
    xs = [client.encrypt(client.random(rng), level=level) for level in (3, 2, 3)]
    xs[1] = ev.with_scale(xs[1], 2.0**40 * 1.0001)
    square, scale, factors = ev.multiply(xs[0], xs[2]), 2.0**80 * 1.3, (0.3, -1.7, 2.0**-20)
    terms = [ev.mul_scalar(x, c, scale / x.scale) for x, c in zip(xs, factors, strict=True)]
    expected = ev.add_scalar(ev.sum(terms), 1 / 3)
    held = ev.with_scale(square, expected.scale)
    assert_same(ev.linear_combination(xs, factors, scale, constant=1 / 3), expected)
    assert_same(ev.linear_combination(xs, factors, scale, constant=1 / 3, onto=held), ev.add(held, expected))
    rest = ev.mul_scalar(xs[1], 1.0, square.scale / xs[1].scale)
    doubled = ev.mul_integer(square, 2)
    assert_same(
        ev.linear_combination([square, xs[1]], [2.0, -1.0], square.scale), ev.add(doubled, ev.negate(rest))
    )
    assert_same(
        ev.linear_combination([square], [2.0], square.scale, constant=-1.0), ev.add_scalar(doubled, -1.0)
    )
    assert_same(ev.sub(rest, doubled), ev.add(rest, ev.negate(doubled)))


def assert_same(found, expected):
    assert (found.level, found.scale, found.components) == (
        expected.level,
        expected.scale,
        expected.components,
    )
    assert torch.equal(found.parts, expected.parts)


def test_linear_combinations_that_are_refused(client, rng):
    ev = client.evaluator
    x = client.encrypt(client.random(rng))
    for xs, factors in (([], []), ([x], []), ([x], [1.0, 2.0])):
        with pytest.raises(CompatibilityError, match="operands"):
            ev.linear_combination(xs, factors, 2.0**80)
    with pytest.raises(ScaleError, match="cannot be added"):
        ev.linear_combination([x], [1.0], 2.0**80, onto=x)
    with pytest.raises(ScaleError, match="does not fit"):
        ev.linear_combination([x], [1.0], 2.0**400)
    for factor, constant in ((math.nan, 0.0), (1.0, math.inf)):
        with pytest.raises(RangeError, match="finite"):
            ev.linear_combination([x], [factor], 2.0**80, constant=constant)


def test_products_onto_a_sum_are_added_to_it(client, rng):
    ev = client.evaluator
    x, y = (client.encrypt(client.random(rng)) for _ in range(2))
    for held in (ev.multiply(y, y), ev.drop_to(ev.multiply(y, y), 2)):
        found = ev.multiply_sum([x, y], [y, y], held)
        expected = ev.add(held, ev.multiply_sum([x, y], [y, y]))
        assert (found.level, found.scale) == (expected.level, expected.scale)
        assert torch.equal(found.parts, expected.parts)
    with pytest.raises(CompatibilityError, match="2 components"):
        ev.multiply_sum([x], [y], x)
    with pytest.raises(ScaleError, match="cannot be added"):
        ev.multiply_sum([x], [y], ev.with_scale(ev.multiply(x, y), 2.0**79))


def test_multiply_sum_refuses(client, rng):
    ev, x = client.evaluator, client.encrypt(client.random(rng))
    for xs, ys in (([], []), ([x], [x, x]), ([ev.multiply(x, x)], [x])):
        with pytest.raises(CompatibilityError):
            ev.multiply_sum(xs, ys)
    with pytest.raises(ScaleError):
        ev.multiply_sum([x, ev.with_scale(x, 2.0**39)], [x, x])


def test_a_product_that_leaves_the_modulus_is_refused(client, rng):
    ev, x = client.evaluator, client.encrypt(client.random(rng), level=0)
    for operation in (lambda: ev.multiply(x, x), lambda: ev.mul_scalar(x, 1.0, 2.0**40)):
        with pytest.raises(ScaleError, match="level 0"):
            operation()


def test_rescale_divides_the_scale_exactly(client, rng):
    a = client.random(rng)
    ev, p = client.evaluator, client.params
    x = ev.mul_scalar(client.encrypt(a), 1.0, 2.0**40)
    y = ev.rescale(x)
    assert y.level == 2
    assert y.scale == 2.0**80 / p.q[3]
    before = 2.0**40 * noise.fresh_noise(p)
    assert_slots(client, y, a, noise.rescale_noise(p, before, 3))
    z = ev.rescale(ev.mul_scalar(y, 1.0, p.q[2] * 2.0**40 / y.scale))
    assert z.scale == pytest.approx(2.0**40, rel=2.0**-50)
    assert_slots(client, z, a, 2 * noise.rescale_noise(p, before, 2))


def test_level_errors(client, rng):
    ev, x = client.evaluator, client.encrypt(client.random(rng), level=1)
    with pytest.raises(LevelError, match="level 0"):
        ev.rescale(ev.drop_to(x, 0))
    for level in (2, -1):
        with pytest.raises(LevelError, match="expected 0 to 1"):
            ev.drop_to(x, level)
    with pytest.raises(LevelError):
        client.encrypt(0.0, level=4)


def test_drop_keeps_the_message_and_inputs_stay_unchanged(client, rng):
    a = client.random(rng)
    x, ev = client.encrypt(a), client.evaluator
    before = x.parts.clone()
    assert_slots(client, ev.drop_to(x, 0), a, noise.fresh_noise(client.params))
    for operation in (ev.negate, ev.rescale, lambda c: ev.add_scalar(c, 1.0), lambda c: ev.multiply(c, c)):
        operation(x)
    assert torch.equal(x.parts, before)


def test_a_dropped_ciphertext_is_a_view_that_every_operation_reads(client, rng):
    """No memory is taken, and the results are those of a copy."""
    ev, x = client.evaluator, client.encrypt(client.random(rng))
    low = ev.drop_to(x, 2)
    assert low.parts.data_ptr() == x.parts.data_ptr()
    assert not low.parts.is_contiguous()
    copy = Ciphertext(parts=low.parts.contiguous(), scale=low.scale)
    v = SlotVector(client.random(rng))
    operations = {
        "add": lambda c: ev.add(c, c),
        "sub": lambda c: ev.sub(c, copy),
        "negate": ev.negate,
        "add_scalar": lambda c: ev.add_scalar(c, 0.5),
        "add_plain": lambda c: ev.add_plain(c, v),
        "mul_scalar": lambda c: ev.mul_scalar(c, 0.5, 2.0**30),
        "mul_plain": lambda c: ev.mul_plain(c, v, 2.0**30),
        "multiply": lambda c: ev.relinearize(ev.multiply(c, c)),
        "relinearize": lambda c: ev.relinearize(ev.drop_to(ev.multiply(c, c), 1)),
        "rescale": ev.rescale,
        "rotate": lambda c: ev.rotate(c, 1),
        "rotate_many": lambda c: ev.rotate_many(c, [0, 1])[0],
        "rotate_sum": lambda c: ev.rotate_sum([c, c], [0, 1]),
        "sum": lambda c: ev.sum([c, copy, c]),
        "linear_combination": lambda c: ev.linear_combination([c, copy], [0.5, 2.0], 2.0**70, constant=0.1),
        "drop": lambda c: ev.drop_to(c, 0),
    }
    for name, operation in operations.items():
        assert torch.equal(operation(low).parts, operation(copy).parts), name


@given(c=st.floats(allow_nan=False, allow_infinity=False), scale=st.floats(2.0**-40, 2.0**120))
@example(c=0.5, scale=1.0)
@example(c=1.5, scale=1.0)
@example(c=-0.5, scale=1.0)
@example(c=-2.5, scale=1.0)
def test_integers_of_scalars_are_rounded_exactly_ties_to_even(c, scale):
    found = scaled_integer(c, scale)
    assert type(found) is int
    assert found == round(Fraction(c) * Fraction(scale))
