"""Explanations of small plans: what forces each collective, and alternatives that are plans themselves."""

from __future__ import annotations

import functools

import pytest

from aegis_fhe.cli.explanations import describe, describe_alternative
from aegis_fhe.placement.compare import Comparison, Verdict
from aegis_fhe.placement.explain import Explanation
from aegis_fhe.placement.workload import Workload
from aegis_fhe.program.long.shape import LayerShape

from .small_workload import small_workload

AGAIN = "computed again by every group that reads them"


@functools.cache
def explained(strategy: str) -> tuple[Verdict, list[Explanation]]:
    """The plan with the fewest bytes."""
    comparison = Comparison(workload())
    verdict = comparison.verdict(strategy)
    return verdict, comparison.explain(verdict.best)


def workload() -> Workload:
    """Two devices, two token blocks."""
    return small_workload(shape=LayerShape.encoder(features=32, heads=4, hidden=64), objective="bytes")


def test_one_device_has_nothing_to_explain():
    assert explained("single")[1] == []


@pytest.mark.parametrize("strategy", ["token", "tensor_parallel", "replicated"])
def test_every_move_is_explained_once(strategy: str):
    """Ciphertexts and bytes of all groups are those of the plan."""
    verdict, reasons = explained(strategy)
    moves = [m for r in verdict.best.plan.rounds for e in r.exchanges for m in e.moves]
    assert sum(one.ciphertexts for one in reasons) == len({(m.stage, m.value) for m in moves})
    total = verdict.best.traffic.most
    assert max(one.received_bytes for one in reasons) <= total
    assert sum(one.received_bytes for one in reasons) >= total


def test_hidden_states_move_for_the_sake_of_attention():
    """Keys and values of all tokens are computed everywhere: attention contracts them, products behind it."""
    verdict, reasons = explained("token")
    assert verdict.best.rendering.variant.endswith("hidden")
    why = {one.stage: one.dependency for one in reasons}
    assert "streaming attention contracts the token axis of its keys, behind matrix product" in why["qkv"]
    assert why.get("refresh", "") in ("", "refresh gathers its values: two of them share a bootstrap")


def test_keys_and_values_move_because_attention_contracts_their_tokens():
    """The rendering that exchanges them, with few or many bytes."""
    comparison = Comparison(workload())
    renderings = (r for r in comparison.strategies()["token"]() if r.variant.endswith("values"))
    found = next(e for r in renderings for e in comparison._evaluations(r))
    (one,) = [one for one in comparison.explain(found) if one.stage == "attend"]
    assert one.reader == "babies"
    assert "streaming attention contracts the token axis of its keys, behind babies" in one.dependency
    assert "streaming attention contracts the token axis of its values, behind babies" in one.dependency


def test_rows_of_products_are_partial_sums():
    _, reasons = explained("tensor_parallel")
    found = {(one.stage, one.dependency) for one in reasons}
    assert (
        "contract",
        "each of add joins terms that matrix product makes: partial sums, for it contracts the feature axis "
        "of its features",
    ) in found
    assert ("qkv", "matrix product contracts the feature axis of its features") in found


def test_shared_limbs_are_tied_by_operations():
    verdict, reasons = explained("limb_parallel")
    found = {one.kind: one.dependency for one in reasons}
    assert found["all_gather"].endswith("gathers the limb axis of a ciphertext")
    assert "mod up" in found["all_gather"]
    assert "rescale" in found["broadcast"]
    assert {one.axis for one in reasons} == {"limb"}
    assert sum(one.received_bytes for one in reasons) >= verdict.best.traffic.most
    whole = [a for one in reasons for a in one.alternatives]
    assert all(a.received_bytes == 0 and a.seconds and a.seconds > 0 for a in whole)


def test_alternatives_are_other_plans():
    """What a group computes again does not move, and takes the time of every group."""
    verdict, reasons = explained("tensor_parallel")
    (one,) = [r for r in reasons if r.stage == "contract"]
    (again,) = [a for a in one.alternatives if a.name == AGAIN]
    assert again.seconds is not None
    assert again.received_bytes != verdict.best.traffic.most
    assert again.memory_bytes is not None
    assert again.memory_bytes > 0
    lines = [describe(one), *map(describe_alternative, one.alternatives)]
    assert "contract, " in lines[0]
    assert any(line.startswith(AGAIN) for line in lines)
    assert set(one.facts()) >= {"dependency", "alternatives", "received_bytes"}


def test_dropping_first_is_offered_where_the_reader_is_lower():
    _, reasons = explained("tensor_parallel")
    lower = [(one, a) for one in reasons for a in one.alternatives if a.name.startswith("dropped")]
    for one, alternative in lower:
        assert alternative.received_bytes < one.received_bytes
    assert lower
