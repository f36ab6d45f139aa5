"""Forbidden modules cannot be imported, and are reported when they already are."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator

import pytest

from aegis_fhe.runtime.sandbox import forbid_imports, loaded_modules


@pytest.fixture
def _clean_finders() -> Iterator[None]:
    before, modules = list(sys.meta_path), dict(sys.modules)
    yield
    sys.meta_path[:] = before
    sys.modules.update(modules)


@pytest.mark.usefixtures("_clean_finders")
def test_module_and_submodules_are_refused_but_not_namesakes() -> None:
    for name in [name for name in sys.modules if name.startswith("xml")]:
        del sys.modules[name]
    forbid_imports(["xml.sax"])
    for name in ("xml.sax", "xml.sax.handler"):
        with pytest.raises(ImportError, match=r"xml\.sax.* must not be imported"):
            importlib.import_module(name)
    assert importlib.import_module("xml.dom")
    assert loaded_modules(["xml.sax"]) == ()
    assert "xml.dom" in loaded_modules(["xml"])
    assert loaded_modules(["xm"]) == ()


@pytest.mark.usefixtures("_clean_finders")
def test_loaded_modules_are_named() -> None:
    with pytest.raises(ImportError, match=r"already loaded.*importlib"):
        forbid_imports(["importlib"])
