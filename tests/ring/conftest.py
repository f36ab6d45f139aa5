from __future__ import annotations

from collections.abc import Iterator

import pytest

from aegis_fhe.ring import native


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = native.get_threads()
    native.set_threads(1)
    yield
    native.set_threads(before)
