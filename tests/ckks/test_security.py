"""The table of ePrint 2024/463 is applied at its exact bounds, and never flattered below 128 bits."""

import math

import pytest

from aegis_fhe.ckks.security import describe_security, max_log_qp, security_bits, sparse_security_bits

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


def test_sparse_secrets_are_weaker_and_never_stronger():
    """More coefficients or fewer bits of modulus: no less security; as many as a uniform one: its own."""
    by_weight = [sparse_security_bits(16, weight, 100) for weight in (8, 16, 24, 32, 48)]
    assert by_weight == sorted(by_weight)
    assert by_weight[0] < 64
    by_modulus = [sparse_security_bits(16, 32, log_qp) for log_qp in (60, 100, 150, 300, 1000)]
    assert by_modulus == sorted(by_modulus, reverse=True)
    assert sparse_security_bits(16, 2**15, 1740) == security_bits(16, 1740) == 128
    for log_degree, weight, log_qp in ((13, 16, 100), (14, 64, 300), (16, 192, 1740)):
        assert sparse_security_bits(log_degree, weight, log_qp) <= security_bits(log_degree, log_qp)


def test_the_weakest_guess_is_counted():
    """One coefficient of N: trying them all, in the middle, is all there is to do."""
    assert sparse_security_bits(13, 1, 100) <= math.log2(2 * 2**13)


def test_the_sparse_key_of_bootstraps():
    """32 coefficients at 2^16 and 100 bits; with 121 bits about what others use."""
    assert sparse_security_bits(16, 32, 100) == 152
    assert sparse_security_bits(16, 32, 121) >= 128
