"""A worker for the tests: refreshes its share of a batch, everything made from fixed seeds."""

from __future__ import annotations

import hashlib
from typing import Any

from aegis_fhe.runtime.worker import WorkerContext, run_worker


def body(context: WorkerContext) -> Any:
    import numpy as np

    from aegis_fhe.circuits.bootstrap import Bootstrapper, presets
    from aegis_fhe.ckks import EvaluationKeys, Evaluator, SlotVector
    from aegis_fhe.ckks.secret import SecretKey, encapsulation_keys, encrypt, evaluation_keys
    from aegis_fhe.ring import native
    from aegis_fhe.runtime.refresh import refresh_share

    context.connect()
    native.set_threads(context.threads)
    plan = presets.insecure(9)
    secret = SecretKey.generate(plan.params, seed=b"batch")
    keys = evaluation_keys(secret, plan.key_requests(), seed=b"batch")
    sparse = encapsulation_keys(secret, plan.weight, seed=b"batch")
    evaluator = Evaluator(plan.params, EvaluationKeys.collect(plan.params, keys, sparse))
    bootstrapper = Bootstrapper(plan, evaluator)
    rng = np.random.default_rng(1)
    values = [rng.uniform(-1, 1, plan.params.slots) for _ in range(context.config["count"])]
    batch = [
        encrypt(secret, SlotVector(v), level=plan.input_level, seed=b"batch").expand(plan.params)
        for v in values
    ]
    refreshed = refresh_share(bootstrapper, batch, rank=context.rank, world_size=context.world_size)
    return {
        str(i): hashlib.sha256(x.parts.contiguous().numpy().tobytes()).hexdigest()
        for i, x in refreshed.items()
    }


if __name__ == "__main__":
    run_worker(body)
