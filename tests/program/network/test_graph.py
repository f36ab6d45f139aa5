"""A network knows when a value is used for the last time, so that long texts keep few of them."""

from __future__ import annotations

import weakref

import numpy as np

from aegis_fhe.program.network import Add, Network, NetworkNode, Silu, evaluate


def residual() -> Network:
    """hidden -> a -> b -> c = b + hidden -> d = c + a; c is the result."""
    nodes = [
        ("a", Silu(), ("hidden",)),
        ("b", Silu(), ("a",)),
        ("c", Add(), ("b", "hidden")),
        ("d", Add(), ("c", "a")),
    ]
    return Network(
        features=2,
        nodes=tuple(NetworkNode(name=n, operator=operator, inputs=inputs) for n, operator, inputs in nodes),
        result="c",
    )


def test_values_expire_after_their_last_use_and_the_result_never():
    expired = residual().last_uses()
    assert {name: sorted(values) for name, values in expired.items()} == {
        "a": [],
        "b": [],
        "c": ["b", "hidden"],
        "d": ["a"],
    }


def test_evaluation_lets_go_of_what_expired():
    """While d is computed, b is gone; the result survives although d used it last."""
    kept: dict[str, weakref.ref] = {}
    alive = {}

    def observe(node, inputs, value):
        kept[node.name] = weakref.ref(value)
        alive[node.name] = [name for name in kept if kept[name]() is not None]

    x = np.ones((3, 2))
    result = evaluate(residual(), {}, x, observe=observe)
    assert "b" not in alive["d"]
    silu = lambda v: v / (1 + np.exp(-v))  # noqa: E731
    np.testing.assert_allclose(result, silu(silu(x)) + x)
