"""A peer's process: what it answers is used, and whatever else it does is one clear error."""

import time

import pytest

from aegis_fhe.bench.peer import Unsupported
from aegis_fhe.bench.process_peer import ProcessPeer
from aegis_fhe.errors import PeerError

from .stand_ins import GOOD, HELLO, program

READY = f"import sys\nprint('{HELLO}', flush=True)\n"


def test_facts_times_and_refusals_are_those_of_the_process(tmp_path):
    with ProcessPeer(program(tmp_path, GOOD)) as peer:
        assert (peer.facts.name, peer.facts.description, peer.facts.stored_key_bytes) == (
            "Fake 1",
            "made up",
            1000,
        )
        assert peer.measure("rotate") == 2.5
        assert peer.measure("encode") == Unsupported("no encode")
        assert peer.measure("rotate") == 2.5


def test_the_environment_reaches_the_process(tmp_path):
    text = "import json, os\nprint(json.dumps({'peer': os.environ['NAME'], 'description': ''}), flush=True)"
    with ProcessPeer(program(tmp_path, text), environment={"NAME": "given"}) as peer:
        assert peer.facts.name == "given"
        assert peer.facts.stored_key_bytes is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raise ValueError('no such ring')", ["ended", "status 1", "no such ring"]),
        ("print('hello')", ["hello", "JSON"]),
        ("print('[1, 2]')", ["[1, 2]", "JSON"]),
        ("print('{}')", ["{}", "name"]),
        ("""print('{"peer": 7, "description": ""}')""", ["7", "name"]),
        ("""print('{"error": "bad parameters"}')""", ["failed", "bad parameters"]),
    ],
)
def test_a_bad_start_is_an_error_that_tells_it(tmp_path, text, words):
    with pytest.raises(PeerError) as caught:
        ProcessPeer(program(tmp_path, text))
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sys.stdin.readline(); sys.exit(3)", ["ended", "status 3"]),
        (
            "sys.stdin.readline(); sys.stderr.write('first\\nout of memory\\n\\n'); sys.exit(1)",
            ["out of mem"],
        ),
        ("sys.stdin.readline(); print('x' * 5000)", ["xxx..."]),
        ("""sys.stdin.readline(); print('{"ms": -1}')""", ["-1", "ms"]),
        ("""sys.stdin.readline(); print('{"ms": true}')""", ["true", "ms"]),
        ("""sys.stdin.readline(); print('{"ms": NaN}')""", ["NaN", "ms"]),
        ("""sys.stdin.readline(); print('{"ms": "fast"}')""", ["fast", "ms"]),
        ("""sys.stdin.readline(); print('{"error": "no key"}')""", ["no key"]),
    ],
)
def test_a_bad_answer_is_an_error_that_tells_it(tmp_path, text, words):
    with ProcessPeer(program(tmp_path, READY + text)) as peer, pytest.raises(PeerError) as caught:
        peer.measure("rotate")
    assert all(word in str(caught.value) for word in words), caught.value
    assert len(str(caught.value)) < 600


def test_a_process_that_left_is_an_error_at_the_next_request(tmp_path):
    with ProcessPeer(program(tmp_path, READY)) as peer:
        time.sleep(0.2)
        with pytest.raises(PeerError, match="ended"):
            peer.measure("rotate")


def test_a_process_that_does_not_answer_is_ended(tmp_path):
    start = time.monotonic()
    with (
        ProcessPeer(program(tmp_path, READY + "import time; time.sleep(60)"), timeout_s=1.5) as peer,
        pytest.raises(PeerError, match=r"within 1.5 s"),
    ):
        peer.measure("rotate")
    assert time.monotonic() - start < 30


def test_a_program_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(PeerError, match="nowhere"):
        ProcessPeer([str(tmp_path / "nowhere")])
