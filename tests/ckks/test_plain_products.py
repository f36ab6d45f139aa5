"""Products with plaintexts: the compressed periodic path, the dense path and numpy agree."""

import numpy as np
import pytest
import torch

from aegis_fhe.ckks import SlotVector, noise, plain_products, plaintexts
from aegis_fhe.errors import CompatibilityError, LayoutError, ScaleError

SCALE = 2.0**40


def tiled(vector, slots):
    return 0 if vector is None else vector.dense(slots)


@pytest.fixture
def inputs(client, rng):
    values = [client.random(rng) for _ in range(3)]
    return values, [client.encrypt(v) for v in values]


def expected_noise(client, terms, plain_rms=1.0):
    p = client.params
    norm = noise.message_norm(p, 1.0, SCALE)
    one = noise.plain_product_noise(p, noise.fresh_noise(p), norm, plain_rms * SCALE, p.slots)
    return np.sqrt(terms) * one


def assert_slots(client, ciphertext, expected, coefficient_noise):
    limit = noise.worst_slot_error(client.params, coefficient_noise, ciphertext.scale)
    assert np.abs(client.decrypt(ciphertext) - expected).max() < limit


@pytest.mark.parametrize("period", [1, 4, 256, 512, 1024])
def test_add_and_multiply_any_period(client, rng, inputs, period):
    values, cts = inputs
    v = SlotVector(client.random(rng, period))
    dense = v.dense(client.params.slots)
    product = client.evaluator.mul_plain(cts[0], v, SCALE)
    assert (product.scale, product.level) == (2.0**80, 3)
    assert_slots(client, product, values[0] * dense, expected_noise(client, 1))
    total = client.evaluator.add_plain(cts[0], v)
    assert total.scale == SCALE
    assert_slots(client, total, values[0] + dense, 1.1 * noise.fresh_noise(client.params))


def test_periodic_and_dense_paths_give_the_same_bits(client, rng, inputs):
    _, cts = inputs
    v = SlotVector(client.random(rng, 16))
    dense = SlotVector(v.dense(client.params.slots))
    for operation in ("mul_plain", "add_plain"):
        arguments = (SCALE,) if operation == "mul_plain" else ()
        compact = getattr(client.evaluator, operation)(cts[0], v, *arguments)
        full = getattr(client.evaluator, operation)(cts[0], dense, *arguments)
        assert torch.equal(compact.parts, full.parts)


def test_add_plain_at_the_scale_of_a_product(client, rng, inputs):
    """A bias is added before rescaling, at 2^80, where coefficients exceed an int64."""
    values, cts = inputs
    v = SlotVector(100 * client.random(rng, 64))
    product = client.evaluator.mul_plain(cts[0], SlotVector.of(0.5), SCALE)
    total = client.evaluator.add_plain(product, v)
    assert_slots(client, total, 0.5 * values[0] + v.dense(client.params.slots), expected_noise(client, 1))


@pytest.mark.parametrize("dense_too", [False, True])
def test_sums_against_numpy(client, rng, inputs, dense_too):
    values, cts = inputs
    slots = client.params.slots
    w = [SlotVector(client.random(rng, period)) for period in (8, 32, 1, slots if dense_too else 16)]
    rows = [[w[0], w[1], w[2]], [None, w[3], None], [None, None, None], [w[2], None, w[0]]]
    results = client.evaluator.mul_plain_sums(cts, rows, SCALE)
    assert len(results) == 4
    for result, row in zip(results, rows, strict=True):
        reference = sum(x * tiled(v, slots) for x, v in zip(values, row, strict=True))
        assert (result.scale, result.level) == (2.0**80, 3)
        assert_slots(client, result, reference, expected_noise(client, 3))
    assert not results[2].parts.any()


def test_chunks_do_not_change_the_result(client, rng, inputs, monkeypatch):
    _, cts = inputs
    slots = client.params.slots
    for period in (8, slots):
        rows = [[SlotVector(client.random(rng, period)) for _ in cts] for _ in range(5)]
        whole = client.evaluator.mul_plain_sums(cts, rows, SCALE)
        with monkeypatch.context() as patch:
            for module in (plain_products, plaintexts):
                patch.setattr(module, "TEMPORARY_BYTES", 1)
            parts = client.evaluator.mul_plain_sums(cts, rows, SCALE)
        assert all(torch.equal(a.parts, b.parts) for a, b in zip(whole, parts, strict=True))


def test_sums_of_unrelinearised_products_at_mixed_levels(client, rng, inputs):
    values, cts = inputs
    ev = client.evaluator
    products = [ev.multiply(cts[0], cts[1]), ev.drop_to(ev.multiply(cts[1], cts[2]), 2)]
    (result,) = ev.mul_plain_sums(products, [[SlotVector.of(0.5), SlotVector.of(1j)]], 2.0**20)
    assert (result.components, result.level, result.scale) == (3, 2, 2.0**100)
    reference = 0.5 * values[0] * values[1] + 1j * values[1] * values[2]
    assert np.abs(client.decrypt(result) - reference).max() < 2.0**-18


def test_refusals(client, rng, inputs):
    _, cts = inputs
    ev, v = client.evaluator, SlotVector.of(1.0)
    for xs, rows in (([], []), (cts, [[v]]), ([cts[0], ev.multiply(cts[0], cts[1])], [[v, v]])):
        with pytest.raises(CompatibilityError):
            ev.mul_plain_sums(xs, rows, SCALE)
    with pytest.raises(ScaleError):
        ev.mul_plain_sums([cts[0], ev.with_scale(cts[1], 2.0**39)], [[v, v]], SCALE)
    with pytest.raises(ScaleError, match="level 0"):
        ev.mul_plain(ev.drop_to(cts[0], 0), v, SCALE)
    with pytest.raises(LayoutError):
        ev.mul_plain(cts[0], SlotVector(np.ones(2 * client.params.slots)), SCALE)
