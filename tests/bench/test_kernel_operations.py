"""What is timed as an operation of the ring is that operation, on every kernel path."""

import pytest
import torch

from aegis_fhe.bench.kernel_operations import PORTABLE_NAME, KernelOperations, PortablePeer
from aegis_fhe.ckks import presets
from aegis_fhe.ring import Ring


@pytest.fixture(scope="module", params=["portable", None], ids=["portable", "best"])
def subject(request):
    params = presets.insecure(6, 3, 2)
    return KernelOperations(params, Ring(params.degree, params.q + params.p, path=request.param))


def test_one_limb_is_transformed_and_back(subject):
    run = subject.operations()
    values = run["ntt"]().clone()
    assert values.shape == (1, 64)
    assert not torch.equal(values, subject.limb)
    assert torch.equal(subject.ring.intt(values, (0,)), subject.limb)
    assert torch.equal(subject.ring.ntt(run["intt"]().clone(), (0,)), subject.limb)


def test_one_limb_is_squared_entry_by_entry(subject):
    q = subject.ring.moduli[0]
    expected = [x * x % q for x in subject.limb[0].tolist()]
    assert subject.operations()["modmul"]()[0].tolist() == expected


def test_the_first_digit_is_converted_to_all_other_limbs(subject):
    converted = subject.operations()["basis conversion"]()
    assert subject.digit_limbs + subject.other_limbs == tuple(range(len(subject.ring.moduli)))
    digit = subject.ring.to_integers(subject.digit, subject.digit_limbs)
    for row, limb in zip(converted.tolist(), subject.other_limbs, strict=True):
        assert row == [int(x) % subject.ring.moduli[limb] for x in digit]


def test_the_inputs_are_spread_over_the_modulus(subject):
    limb, q = subject.limb[0], subject.ring.moduli[0]
    assert len(set(limb.tolist())) == limb.numel()
    assert 0 <= int(limb.min()) < q // 8
    assert q - q // 8 < int(limb.max()) < q


def test_the_portable_path_is_a_peer_that_is_named_for_what_it_is():
    peer = PortablePeer(presets.insecure(6, 3, 2))
    assert peer.facts.name == PORTABLE_NAME
    assert all(peer.measure(name) > 0 for name in ("ntt", "intt", "modmul", "basis conversion"))
