"""A whole tiny layer on ciphertexts, value by value against the clear interpreter, and its reference."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from aegis_fhe.bench.drawn_layer import draw_layer
from aegis_fhe.ckks import EvaluationKeys, Evaluator, SlotVector, presets
from aegis_fhe.ckks.secret import SecretKey, decrypt, encrypt, evaluation_keys
from aegis_fhe.program.long.compile import compile_unrefreshed
from aegis_fhe.program.long.shape import Degrees, LayerShape

DECODER = LayerShape.decoder(features=16, heads=4, key_value_heads=2, head_dim=4, hidden=32)
ENCODER = LayerShape.encoder(features=16, heads=4, hidden=32)
DEGREES = Degrees(exponential=15, squarings=1, reciprocal=31, inverse_sqrt=15, activation=15)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    ("shape", "tokens", "rounds", "most_scores"),
    [(DECODER, 16, 0, None), (ENCODER, 13, 0, None), (DECODER, 16, 1, None), (DECODER, 13, 1, 0)],
)
def test_encrypted_layer(shape: LayerShape, tokens: int, rounds: int, most_scores: int | None):
    """Both sides of the noise: below 2^-14 everywhere, and not a comparison of a thing with itself."""
    layer = draw_layer(shape, tokens, rounds=rounds)
    program = compile_unrefreshed(
        shape,
        layer.weights,
        layer.ranges,
        slots=256,
        tokens=tokens,
        parameters=lambda levels: presets.insecure(log_degree=9, levels=levels, digit_size=10),
        degrees=dataclasses.replace(DEGREES, rounds=((31, 0),) * rounds),
        most_scores=most_scores,
    )
    params = program.params
    secret = SecretKey.generate(params, seed=b"long secret")
    keys = EvaluationKeys.collect(params, evaluation_keys(secret, program.key_requests(), seed=b"long keys"))
    inputs = {
        name: encrypt(secret, SlotVector(values), level=program.input_level, seed=name.encode()).expand(
            params
        )
        for name, values in program.pack(layer.hidden).items()
    }
    decrypted: dict[str, np.ndarray] = {}
    clear: dict[str, np.ndarray] = {}

    def observe(node: Any, values: Iterable[Any]) -> None:
        found = (decrypt(secret, value).values for value in values)
        decrypted.update(zip(node.outputs, found, strict=True))

    def observe_clear(node: Any, values: Iterable[Any]) -> None:
        clear.update(zip(node.outputs, (value.slots for value in values), strict=True))

    results = program.run(Evaluator(params, keys), inputs, tokens, observe=observe)
    expected = program.run_clear(layer.hidden, observe=observe_clear)
    assert set(decrypted) == set(clear)
    errors = {name: float(np.abs(value - clear[name]).max()) for name, value in decrypted.items()}
    assert {name: error for name, error in errors.items() if not error < 2.0**-14} == {}
    assert max(errors[name] for name in results) > 2.0**-35
    found = program.unpack({name: decrypted[name].real for name in results}, tokens)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    np.testing.assert_allclose(found, layer.result, atol=0.05)
