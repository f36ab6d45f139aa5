"""Packages whose names load on use: both statements of the names agree, one name loads no other."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from aegis_fhe.lazy_names import load_on_use
from lazy_packages import LAZY


def test_the_scan_sees_the_packages():
    assert list(LAZY) == [
        "aegis_fhe",
        "aegis_fhe.circuits.bootstrap",
        "aegis_fhe.ckks",
        "aegis_fhe.program",
        "aegis_fhe.program.encoder",
        "aegis_fhe.program.operators",
        "aegis_fhe.ring",
    ]


@pytest.mark.parametrize("package", LAZY)
def test_what_a_type_checker_reads_is_what_loads(package: str):
    """And it is read from the module that defines it, not from another that has it."""
    loaded = importlib.import_module(package)
    assert sorted(loaded.__all__) == sorted(LAZY[package])
    for name, home in LAZY[package].items():
        value = getattr(loaded, name)
        assert value is getattr(importlib.import_module(home), name)
        assert getattr(value, "__module__", home) in (home, "types")  # of a union: types


@pytest.mark.parametrize("package", LAZY)
def test_an_unknown_name_is_an_attribute_error(package: str):
    loaded = importlib.import_module(package)
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        _ = loaded.nothing
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        exec(f"from {package} import nothing")


def test_a_name_is_loaded_from_its_home():
    load = load_on_use("package", {"Fraction": "fractions", "absent": "no_such_module"})
    assert load("Fraction") is importlib.import_module("fractions").Fraction
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        load("absent")


def test_a_name_without_tensors_loads_no_torch():
    program = "import sys; from aegis_fhe.ckks import KeyRequest, Parameters; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
