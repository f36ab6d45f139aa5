"""What does not belong to the parameters is refused by every operation, in an error that names both sides."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from aegis_fhe.ckks import Ciphertext, Evaluator, KeyRequest, SlotVector, presets
from aegis_fhe.ckks.secret import decrypt
from aegis_fhe.errors import AegisError, LayoutError, LevelError, RangeError, ScaleError

from .conftest import Client

SCALE = 2.0**40
VECTOR = SlotVector.of(1.0)
NOT_POSITIVE = [0.0, -1.0, math.nan, math.inf, -math.inf]

# Each takes the evaluator, a ciphertext of its parameters, and a foreign one.
OPERATIONS: dict[str, Callable[[Evaluator, Ciphertext, Ciphertext], object]] = {
    "add": lambda ev, x, y: ev.add(x, y),
    "add to": lambda ev, x, y: ev.add(y, x),
    "sub": lambda ev, x, y: ev.sub(x, y),
    "sub itself": lambda ev, x, y: ev.sub(y, y),
    "negate": lambda ev, x, y: ev.negate(y),
    "add_scalar": lambda ev, x, y: ev.add_scalar(y, 1.0),
    "mul_scalar": lambda ev, x, y: ev.mul_scalar(y, 1.0, SCALE),
    "mul_integer": lambda ev, x, y: ev.mul_integer(y, 3),
    "multiply": lambda ev, x, y: ev.multiply(x, y),
    "multiply_sum": lambda ev, x, y: ev.multiply_sum([x, y], [x, x]),
    "rescale": lambda ev, x, y: ev.rescale(y),
    "rotate": lambda ev, x, y: ev.rotate(y, 1),
    "rotate_sum": lambda ev, x, y: ev.rotate_sum([x, y], [1, 0]),
    "conjugate": lambda ev, x, y: ev.conjugate(y),
    "add_plain": lambda ev, x, y: ev.add_plain(y, VECTOR),
    "mul_plain": lambda ev, x, y: ev.mul_plain(y, VECTOR, SCALE),
    "mul_plain_sums": lambda ev, x, y: ev.mul_plain_sums([x, y], [[VECTOR, VECTOR]], SCALE),
}


@pytest.fixture(scope="module")
def wider() -> Client:
    """N = 2^12 where the client has 2^11."""
    return Client.new(presets.insecure(12, 3, 2), [KeyRequest("relin", 3)])


@pytest.fixture(scope="module")
def deeper() -> Client:
    """Levels 0..5 where the client has 0..3."""
    return Client.new(presets.insecure(11, 5, 2), [KeyRequest("relin", 5)])


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_ciphertext_of_another_degree(name: str, client: Client, wider: Client) -> None:
    with pytest.raises(LayoutError, match=r"4096\].*2048\]"):
        OPERATIONS[name](client.evaluator, client.encrypt(1.0), wider.encrypt(1.0))


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_ciphertext_of_a_level_that_the_parameters_lack(name: str, client: Client, deeper: Client) -> None:
    with pytest.raises(AegisError, match="level 5"):
        OPERATIONS[name](client.evaluator, client.encrypt(1.0), deeper.encrypt(1.0))


def test_decryption_refuses_both(client: Client, wider: Client, deeper: Client) -> None:
    with pytest.raises(LayoutError, match=r"4096\].*2048\]"):
        decrypt(client.secret, wider.encrypt(1.0))
    with pytest.raises(LevelError, match="level 5 was given; these parameters have levels 0 to 3"):
        decrypt(client.secret, deeper.encrypt(1.0))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_scalars_that_are_no_numbers(value: float, client: Client) -> None:
    x = client.encrypt(1.0)
    with pytest.raises(RangeError, match=f"scalar is {value}"):
        client.evaluator.add_scalar(x, value)
    with pytest.raises(RangeError, match=f"scalar is {value}"):
        client.evaluator.mul_scalar(x, value, SCALE)


@pytest.mark.parametrize("scale", NOT_POSITIVE)
def test_scales_that_are_none(scale: float, client: Client) -> None:
    x = client.encrypt(1.0)
    for operation in (
        lambda: client.encrypt(1.0, scale=scale),
        lambda: client.evaluator.with_scale(x, scale),
        lambda: client.evaluator.mul_scalar(x, 1.0, scale),
        lambda: client.evaluator.mul_plain(x, VECTOR, scale),
        lambda: Ciphertext(parts=x.parts, scale=scale),
    ):
        with pytest.raises(ScaleError):
            operation()


@pytest.mark.parametrize(
    "parts",
    [
        torch.zeros(2, 4, 2048),
        torch.zeros(4, 2048, dtype=torch.int64),
        torch.zeros(1, 4, 2048, dtype=torch.int64),
        torch.zeros(4, 4, 2048, dtype=torch.int64),
        torch.zeros(2, 0, 2048, dtype=torch.int64),
    ],
    ids=lambda parts: str(list(parts.shape)),
)
def test_tensors_that_are_no_ciphertext(parts: torch.Tensor) -> None:
    with pytest.raises(LayoutError, match=r"\[2 or 3 components, limb, N\] of torch.int64"):
        Ciphertext(parts=parts, scale=SCALE)


@pytest.mark.parametrize("level", [-1, 4])
def test_levels_that_the_parameters_lack(level: int, client: Client) -> None:
    with pytest.raises(LevelError, match=f"level {level}.*0 to 3"):
        client.encrypt(1.0, level=level)
    with pytest.raises(LevelError, match=f"level {level}.*0 to 3"):
        client.params.q_limbs(level)
