"""One bootstrap at N = 2^16 and 128 bits, where there is memory for it."""

from __future__ import annotations

import psutil
import pytest

from aegis_fhe.bench.bootstrap_benchmark import measure_bootstrap
from aegis_fhe.circuits.bootstrap import presets

NEEDED_BYTES = 10 << 30


@pytest.mark.best_path
@pytest.mark.skipif(psutil.virtual_memory().available < NEEDED_BYTES, reason="takes up to 10 GiB of memory")
def test_the_preset_keeps_what_it_promises():
    """14 levels of 40 bits, more than 18 bits in the worst of 65536 parts, keys below 4 GiB."""
    facts = measure_bootstrap(presets.n16(), threads=2, runs=1)
    assert (facts["slots"], facts["security_bits"], facts["levels_left"]) == (32768, 128, 14)
    assert facts["scale_bits"] >= 40
    assert facts["precision_bits_worst"] > 20
    assert facts["precision_bits_mean"] > 24
    assert facts["failure_log2"] < -100
    assert facts["key_bytes"] <= 4 << 30
    assert facts["peak_memory_bytes"] < NEEDED_BYTES
