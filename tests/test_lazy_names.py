"""Packages whose names load on use: both statements of the names agree, one name loads no other."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from aegis_fhe.lazy_names import load_on_use

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "aegis_fhe"


def dotted(path: Path) -> str:
    return ".".join(("aegis_fhe", *path.parent.relative_to(PACKAGE).parts))


LAZY = [path for path in sorted(PACKAGE.rglob("__init__.py")) if "load_on_use" in path.read_text()]


def typed_names(path: Path) -> dict[str, str]:
    """Name -> module, as a type checker reads them: the imports under `if TYPE_CHECKING`."""
    branches = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.If)]
    imports = [node for branch in branches for node in branch.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def test_the_scan_sees_the_packages():
    assert [dotted(path) for path in LAZY] == [
        "aegis_fhe",
        "aegis_fhe.circuits.bootstrap",
        "aegis_fhe.ckks",
        "aegis_fhe.program",
        "aegis_fhe.ring",
    ]


@pytest.mark.parametrize("path", LAZY, ids=dotted)
def test_what_a_type_checker_reads_is_what_loads(path: Path):
    package, names = importlib.import_module(dotted(path)), typed_names(path)
    assert sorted(package.__all__) == sorted(names)
    for name, home in names.items():
        assert getattr(package, name) is getattr(importlib.import_module(home), name)
        assert getattr(package, name).__module__ == home


@pytest.mark.parametrize("path", LAZY, ids=dotted)
def test_an_unknown_name_is_an_attribute_error(path: Path):
    package = importlib.import_module(dotted(path))
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'nothing'"):
        package.nothing  # noqa: B018
    assert not hasattr(package, "nothing")


def test_a_name_loads_its_own_module_alone():
    load = load_on_use("package", {"Fraction": "fractions", "absent": "no_such_module"})
    assert load("Fraction") is importlib.import_module("fractions").Fraction
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        load("absent")


def test_a_name_without_tensors_loads_no_torch():
    program = "import sys; from aegis_fhe.ckks import KeyRequest, Parameters; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
