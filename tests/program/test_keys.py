"""The program asks for exactly the keys it needs, at exactly the levels that use them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aegis_fhe.ckks import EvaluationKeys, Evaluator, KeyRequest
from aegis_fhe.errors import MissingKeyError
from aegis_fhe.program import CompiledProgram, Node
from aegis_fhe.program.interpret import run_node

from .conftest import TOKENS, EncryptedRun, keys_of
from .tiny import tiny_program

REQUESTS = tiny_program()[2].key_requests()


def users(program: CompiledProgram, request: KeyRequest) -> Iterator[Node]:
    """Nodes that use a key at its highest level."""
    counts = program.node_counts()
    return (node for node in program.graph.nodes if counts[node.name].keys.get(request.step) == request.level)


def evaluator_without(run: EncryptedRun, request: KeyRequest) -> Evaluator:
    galois = request.galois(run.program.params.degree)
    relin = None if galois is None else run.keys.relin
    rotations = {g: key for g, key in run.keys.rotations.items() if g != galois}
    fingerprint = run.keys.fingerprint
    return Evaluator(
        run.program.params, EvaluationKeys(fingerprint=fingerprint, relin=relin, rotations=rotations)
    )


def test_no_step_is_asked_for_twice(tiny):
    steps = [request.step for request in REQUESTS]
    assert len(set(steps)) == len(steps) == 17
    rotations = [step for step in steps if step not in ("relin", "conj")]
    assert all(0 < step < tiny.program.params.slots for step in rotations)
    assert len(rotations) == len(steps) - 2


def test_exactly_these_keys_were_enough(encrypted):
    """The shared run had these keys and no others."""
    degree = encrypted.program.params.degree
    galois = {request.galois(degree) for request in REQUESTS if request.step != "relin"}
    assert set(encrypted.keys.rotations) == galois
    for request in REQUESTS:
        assert encrypted.keys.find(request, degree).level == request.level


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: str(request.step))
def test_every_key_is_needed_at_its_level(encrypted, request_):
    """Without it, or with one made for a level lower, the node that uses it fails; the error names both."""
    program = encrypted.program
    node = next(users(program, request_))
    values = {name: encrypted.values[name] for name in node.inputs}
    evaluator = evaluator_without(encrypted, request_)
    lower = EvaluationKeys(
        fingerprint=encrypted.keys.fingerprint,
        relin=evaluator.keys.relin or keys_of(encrypted, [KeyRequest("relin", request_.level - 1)]).relin,
        rotations={
            **evaluator.keys.rotations,
            **(
                keys_of(encrypted, [KeyRequest(request_.step, request_.level - 1)]).rotations
                if request_.step != "relin"
                else {}
            ),
        },
    )
    name = request_.describe()
    for other, reason in (
        (evaluator, f"no key for {name} at level {request_.level}"),
        (Evaluator(program.params, lower), f"{name} serves levels up to {request_.level - 1}"),
    ):
        with pytest.raises(MissingKeyError, match=reason) as caught:
            run_node(node, other, dict(values), program.context(TOKENS))
        assert f"node {node.name} (" in str(caught.value)
