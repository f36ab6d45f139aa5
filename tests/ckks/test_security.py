"""The table of ePrint 2024/463 is applied at its exact bounds, and never flattered below 128 bits."""

import pytest

from aegis_fhe.ckks.security import describe_security, max_log_qp, security_bits

TABLE = {
    128: {13: 214, 14: 430, 15: 868, 16: 1747, 17: 3523},
    192: {13: 147, 14: 297, 15: 597, 16: 1199, 17: 2411},
    256: {13: 114, 14: 230, 15: 462, 16: 929, 17: 1866},
}


@pytest.mark.parametrize(("bits", "log_degree"), [(b, n) for b, row in TABLE.items() for n in row])
def test_bound_is_inclusive_and_sharp(bits, log_degree):
    bound = TABLE[bits][log_degree]
    assert max_log_qp(log_degree, bits) == bound
    assert security_bits(log_degree, bound) == bits
    assert security_bits(log_degree, bound + 1e-6) < bits


def test_estimate_below_the_table_matches_the_published_estimate():
    # 1772 bits at 2^16 (OpenFHE's bound) estimate to 125.7-126.3 bits.
    assert security_bits(16, 1772) in (125, 126)


@pytest.mark.parametrize("log_degree", range(5, 13))
def test_small_degrees_never_count_as_128_bits(log_degree):
    assert security_bits(log_degree, 20.0) < 128
    assert max_log_qp(log_degree) is None


def test_description_says_insecure():
    assert describe_security(16, 1700) == "128-bit"
    assert "INSECURE" in describe_security(11, 250)
    assert "<128" in describe_security(11, 250)
