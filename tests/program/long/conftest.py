"""Shared by the tests of grids."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from aegis_fhe.ring import native


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Threads cost more than they bring on rings as small as these."""
    before = native.get_threads()
    native.set_threads(1)
    yield
    native.set_threads(before)
