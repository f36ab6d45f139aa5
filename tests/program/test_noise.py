"""The noise interpreter on a whole program: an attention sub-layer of 29 levels, every value of it."""

from __future__ import annotations

import numpy as np

from aegis_fhe.circuits.noise_backend import NoiseBackend, NoiseValue
from aegis_fhe.ckks import noise
from aegis_fhe.program.interpret import run_graph

from .conftest import TOKENS


def test_noise_of_every_value_is_the_predicted_one(encrypted, tiny):
    """Within a factor 2 on both sides, over a range of more than 2^6; half of them above, half below.

    One seeded run with one key has few independent samples where a value is a sum over tokens or features
    that is copied to all their slots (ratios from 0.8 to 1.3): the sharp tests are those of circuits.
    """
    program = encrypted.program
    params = program.params
    backend = NoiseBackend(params)
    packed = zip(program.input_names(), program.pack(tiny.hidden[:TOKENS]), strict=True)
    inputs = {name: backend.encode(v, params.max_level, params.scale) for name, v in packed}
    found: dict[str, NoiseValue] = {}
    run_graph(
        program.graph,
        backend,
        inputs,
        program.context(TOKENS),
        observe=lambda node, values: found.update(zip(node.outputs, values, strict=True)),
    )
    ratios: dict[str, float] = {}
    predicted: list[float] = []
    for name, value in found.items():
        np.testing.assert_allclose(value.slots, encrypted.clear[name], atol=1e-9)
        errors = encrypted.decrypted[name] - encrypted.clear[name]
        predicted.append(noise.slot_std(params, value.noise, value.scale))
        ratios[name] = float(np.sqrt(np.mean(np.abs(errors) ** 2) / 2)) / predicted[-1]
        assert -np.log2(np.abs(errors).max()) > backend.precision(value).worst_bits, name
    assert {name: ratio for name, ratio in ratios.items() if not 1 / 2 < ratio < 2} == {}
    assert abs(np.median(list(ratios.values())) - 1) < 1 / 16
    assert max(predicted) > 2**6 * min(predicted)
