"""OpenFHE, else TenSEAL, else none: the choice is said, and what was asked for by name is not replaced."""

import sys

import pytest

from aegis_fhe.bench import choose_peer as module
from aegis_fhe.bench.choose_peer import choose_peer
from aegis_fhe.bench.peer import Unsupported
from aegis_fhe.bench.tenseal_peer import TensealPeer
from aegis_fhe.ckks import Parameters, presets
from aegis_fhe.errors import ParameterError, PeerError

from .stand_ins import StandInPeer

PARAMS = presets.insecure(6, 3, 2)


def choose(choice, said, params=PARAMS, python=None):
    return choose_peer(choice, params, 1, python=python, install=False, say=said.append)


@pytest.fixture
def without_openfhe(monkeypatch):
    def find(home, *, install, say):
        raise PeerError("no python3.10 was found")

    monkeypatch.setattr(module, "find_openfhe", find)


@pytest.fixture
def without_tenseal(monkeypatch):
    monkeypatch.setitem(sys.modules, "tenseal", None)


def test_none_is_none():
    assert choose("none", []) is None


def test_openfhe_is_taken_first(monkeypatch, tmp_path):
    peer = StandInPeer({})
    started = []
    monkeypatch.setattr(module, "find_openfhe", lambda home, *, install, say: tmp_path / "found")
    monkeypatch.setattr(module, "start_openfhe", lambda *args: started.append(args) or peer)
    said = []
    assert choose("auto", said) is peer
    assert choose("openfhe", said) is peer
    assert choose("auto", said, python=tmp_path / "given") is peer
    assert [args[0].name for args in started] == ["found", "found", "given"]
    assert said == []


@pytest.mark.usefixtures("without_openfhe", "without_tenseal")
def test_what_is_missing_is_said():
    said = []
    assert choose("auto", said) is None
    assert "no python3.10" in said[0]
    assert "tenseal" in said[1]
    assert "without a peer" in said[1]


@pytest.mark.usefixtures("without_openfhe", "without_tenseal")
def test_a_peer_that_was_named_is_not_replaced(tmp_path):
    with pytest.raises(PeerError, match=r"python3.10"):
        choose("openfhe", [])
    with pytest.raises(PeerError, match="tenseal"):
        choose("tenseal", [])
    with pytest.raises(PeerError, match="nowhere"):
        choose("auto", [], python=tmp_path / "nowhere")
    with pytest.raises(ParameterError, match=r"'seal'.*openfhe"):
        choose("seal", [])


@pytest.mark.usefixtures("without_openfhe")
def test_tenseal_takes_its_place_and_says_so():
    pytest.importorskip("tenseal")
    said = []
    params = Parameters.build(13, [50, 40], [49, 49], 1)
    peer = choose("auto", said, params)
    assert isinstance(peer, TensealPeer)
    assert peer.facts.name.startswith("TenSEAL ")
    assert said[1] == f"{peer.facts.name} takes its place: {peer.facts.description}"
    for operation in ("encrypt", "decrypt + decode", "add", "product + relinearise"):
        assert peer.measure(operation) > 0
    assert isinstance(peer.measure("rotate"), Unsupported)


def test_seal_has_no_degree_2_to_16():
    with pytest.raises(PeerError, match=r"2\^15"):
        TensealPeer(presets.insecure(16, 1, 1), 1)
