"""Every interpreter offers the operations of the protocol, by the same names with the same parameters."""

from __future__ import annotations

import inspect

import pytest

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.noise_backend import NoiseBackend
from aegis_fhe.circuits.symbolic import SymbolicBackend
from aegis_fhe.ckks import Evaluator
from aegis_fhe.program.clear import ClearBackend

OPERATIONS = [name for name, value in vars(Backend).items() if inspect.isfunction(value) and name[0] != "_"]
PROPERTIES = [name for name, value in vars(Backend).items() if isinstance(value, property)]


def test_the_protocol_was_read():
    assert {"mul_plain_sums", "rotate_sum", "rescale"} <= set(OPERATIONS)
    assert {"slots", "moduli"} == set(PROPERTIES)


@pytest.mark.parametrize("backend", [Evaluator, ClearBackend, SymbolicBackend, NoiseBackend])
def test_interpreter_has_every_operation(backend):
    for name in OPERATIONS:
        expected = list(inspect.signature(getattr(Backend, name)).parameters)
        assert list(inspect.signature(getattr(backend, name)).parameters) == expected, name
    for name in PROPERTIES:
        assert isinstance(inspect.getattr_static(backend, name), property), name
