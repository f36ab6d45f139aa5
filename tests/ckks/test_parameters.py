"""Parameters are checked where they are built, deterministic, and survive a plain dictionary."""

import math
from dataclasses import replace

import msgspec
import pytest

from aegis_fhe.ckks import Parameters, presets
from aegis_fhe.errors import ParameterError, SecurityError
from aegis_fhe.ring import native


def test_128_bit_presets_hold_what_their_table_says():
    for params, levels, bound in (
        (presets.n16(), 29, 1747),
        (presets.n15(), 14, 868),
        (presets.n14(), 6, 430),
    ):
        assert not params.insecure
        assert params.security_bits == 128
        assert params.log_qp <= bound
        assert params.max_level == levels
        assert len(params.digits(levels)) == 3


def test_n16_levels_end_where_security_ends():
    assert presets.n16(31).log_qp <= 1747
    with pytest.raises(SecurityError, match="1747"):
        presets.n16(32)


def test_full_depth_keeps_its_primes():
    """Files and digests of programs compiled at full depth depend on them: names and sizes are fixed."""
    assert presets.n16().name == "N16-q50+29x40-P9x49-d10"
    assert presets.n15().name == "N15-q50+14x40-P5x49-d5"
    assert presets.n14().name == "N14-q50+6x40-P3x46-d3"
    assert presets.n16().fingerprint() == Parameters.build(16, [50] + [40] * 29, [49] * 9, 10).fingerprint()


@pytest.mark.parametrize("family", [presets.n16, presets.n15, presets.n14])
def test_fewer_levels_make_the_shortest_three_digits_and_the_smallest_p(family):
    full = family()
    for levels in range(1, full.max_level + 1):
        params = family(levels)
        assert len(params.digits(levels)) <= 3
        assert params.digit_size == 1 or math.ceil((levels + 1) / (params.digit_size - 1)) > 3
        largest = max(math.prod(params.q[limb] for limb in digit) for digit in params.digits(levels))
        assert math.prod(params.p[1:]) <= largest < math.prod(params.p)


def test_beyond_three_digits_more_of_the_same_size_follow():
    assert presets.n16(31).digit_size == presets.n16(29).digit_size == 10
    assert (len(presets.n16(31).p), len(presets.n16(31).digits(31))) == (9, 4)


def test_25_limbs_need_eight_special_primes():
    params = presets.n16(24)
    assert (params.digit_size, len(params.p), len(params.digits(24))) == (9, 8, 3)


def test_primes_are_near_the_sizes_and_fit_the_ring():
    params = presets.n15()
    for prime, bits in zip(params.q + params.p, [50] + [40] * 14 + [49] * 5, strict=True):
        assert prime % (2 * params.degree) == 1
        assert bits - 2**-10 < math.log2(prime) < bits


def test_insecure_needs_the_word():
    with pytest.raises(SecurityError, match="insecure=True"):
        Parameters.build(11, [48, 40], [49], 1)
    assert Parameters.build(11, [48, 40], [49], 1, insecure=True).insecure


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"digit_size": 3}, "special"),
        ({"digit_size": 0}, "digit_size"),
        ({"q_bits": []}, "at least one"),
        ({"p_bits": []}, "at least one"),
        ({"q_bits": [51, 40]}, "51 bits"),
        ({"q_bits": [50, 12]}, "12 bits"),
        ({"log_degree": 30}, "log_degree"),
        ({"scale": 0.0}, "scale"),
        ({"scale": math.nan}, "scale"),
    ],
)
def test_impossible_input_is_refused(change, message):
    literal = {
        "log_degree": 11,
        "q_bits": [50, 40, 40],
        "p_bits": [49, 49],
        "digit_size": 2,
        "insecure": True,
    }
    Parameters.build(**literal)
    with pytest.raises(ParameterError, match=message):
        Parameters.build(**(literal | change))


def test_moduli_from_outside_are_checked():
    good = presets.insecure(11, 2, 2).to_dict()
    for q in ([good["q"][0], good["q"][0]], [good["q"][0] + 2], [17 * 241], [2**61 - 1]):
        with pytest.raises(ParameterError):
            Parameters.from_dict(good | {"q": q})
    with pytest.raises(ParameterError, match="not a parameter set"):
        Parameters.from_dict({**good, "colour": "red"})


def test_dictionary_round_trip_and_fingerprint():
    params = presets.insecure(11, 3, 2)
    again = Parameters.from_dict(msgspec.json.decode(msgspec.json.encode(params.to_dict())))
    assert again == params
    assert again.fingerprint() == params.fingerprint()
    assert presets.insecure(11, 2, 2).fingerprint() != params.fingerprint()
    renamed = Parameters.from_dict(params.to_dict() | {"name": "other"})
    assert renamed.fingerprint() == params.fingerprint()


def test_kernel_path_belongs_to_the_process_and_not_to_the_set():
    params = presets.insecure(11, 3, 2)
    portable = replace(params, kernel_path="portable")
    assert (portable.ring.path, params.ring.path) == ("portable", native.default_path())
    assert portable == params
    assert portable.fingerprint() == params.fingerprint()
    assert portable.to_dict() == params.to_dict()
    with pytest.raises(ParameterError, match="not a parameter set"):
        Parameters.from_dict({**params.to_dict(), "kernel_path": "portable"})
    with pytest.raises(ParameterError, match=r"'sse9' cannot run here; available: .*portable"):
        replace(params, kernel_path="sse9")


def test_digits_are_contiguous_and_shrink_with_the_level():
    params = presets.insecure(11, 4, 2)
    assert params.digits(4) == ((0, 1), (2, 3), (4,))
    assert params.digits(2) == ((0, 1), (2,))
    assert params.digits(0) == ((0,),)
    assert params.p_limbs == (5, 6)
