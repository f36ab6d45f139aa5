"""Two values in one bootstrap: in the clear apart, on residues together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.ckks import EvaluationKeys, Evaluator, SlotVector
from aegis_fhe.ckks.secret import SecretKey, encapsulation_keys, encrypt, evaluation_keys
from aegis_fhe.placement.coupling import Coupling
from aegis_fhe.placement.coupling.operators import Couplings
from aegis_fhe.program.graph import Node
from aegis_fhe.program.interpret import run_node
from aegis_fhe.program.long.context import GridContext
from aegis_fhe.program.operators import Refresh


def test_a_bootstrap_gathers_both_of_its_values():
    """Another second value changes residues of the first result; the signature says so, on every axis."""
    plan = presets.insecure(7, levels_left=1)
    params, context = (
        plan.params,
        GridContext(constants={}, scale=plan.params.scale, tokens=8, bootstrap=plan),
    )
    node = Node(
        name="fresh", operator=Refresh(), block=0, stage="refresh", inputs=("a", "b"), outputs=("c", "d")
    )
    fresh = Symbol(plan.input_level, params.scale)
    signature = Couplings(params, context).of(node, {"a": fresh, "b": fresh}).roles["values"]
    assert signature.token_block is Coupling.GATHERED
    assert {signature.component, signature.limb, signature.coefficient} == {Coupling.GATHERED}

    secret = SecretKey.generate(params)
    keys = EvaluationKeys.collect(params, evaluation_keys(secret, plan.key_requests()))
    keys = replace(keys, encapsulation=encapsulation_keys(secret, plan.weight))
    evaluator, rng = Evaluator(params, keys), np.random.default_rng(3)

    def encrypted() -> object:
        values = SlotVector.of(rng.uniform(-1, 1, params.slots))
        return encrypt(secret, values, level=plan.input_level).expand(params)

    first, second, third = encrypted(), encrypted(), encrypted()
    made = []
    for other in (second, third, third):
        values = {"a": first, "b": other}
        run_node(node, evaluator, values, context)
        made.append(values["c"].parts)
    assert not (made[0] == made[1]).all(dim=2).any()
    assert (made[1] == made[2]).all()
