"""One encrypted run of the tiny program, with everything seen on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from aegis_fhe.ckks import (
    Ciphertext,
    EvaluationKeys,
    Evaluator,
    KeyRequest,
    Parameters,
    SlotVector,
    keyswitch,
)
from aegis_fhe.ckks.secret import SecretKey, decrypt, encrypt, evaluation_keys
from aegis_fhe.program import CompiledProgram
from aegis_fhe.program.clear import ClearBackend
from aegis_fhe.program.interpret import run_graph
from aegis_fhe.ring.keyswitching import Digits

from .tiny import TinyAttention, tiny_program

TOKENS = 13


@dataclass(frozen=True)
class Tiny:
    """The tiny module, an input of full length, and its program."""

    module: TinyAttention
    hidden: np.ndarray
    program: CompiledProgram


@dataclass(frozen=True)
class EncryptedRun:
    """Ciphertexts, decrypted (complex) and clear slots of every value of a run on TOKENS tokens; counts."""

    program: CompiledProgram
    secret: SecretKey
    keys: EvaluationKeys
    values: dict[str, Ciphertext]
    decrypted: dict[str, np.ndarray]
    clear: dict[str, np.ndarray]
    executed: dict[str, Counter[tuple[str, int]]]
    result: np.ndarray


class CountingEvaluator(Evaluator):
    """Counts what it does, independently of the symbolic interpreter."""

    executed: Counter[tuple[str, int]]

    def rescale(self, x: Ciphertext) -> Ciphertext:
        self.executed["rescale", x.level] += x.components / 2  # type: ignore[assignment]
        return super().rescale(x)

    def multiply_matrix(self, xs: Any, ys: Any, onto: Any = ()) -> list[list[Ciphertext]]:
        level = min(x.level for row in (*xs, *ys, *onto) for x in row)
        self.executed["product", level] += len(xs) * len(ys) * len(ys[0])
        return super().multiply_matrix(xs, ys, onto)


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    """16 tokens in two blocks of one key group."""
    return Tiny(*tiny_program())


@pytest.fixture(scope="session")
def encrypted(tiny: Tiny) -> EncryptedRun:
    program, hidden = tiny.program, tiny.hidden[:TOKENS]
    params = program.params
    # Seeded: the noise test compares one run with its prediction, and must not depend on luck.
    secret = SecretKey.generate(params, seed=b"tiny secret")
    keys = EvaluationKeys.collect(params, evaluation_keys(secret, program.key_requests(), seed=b"tiny keys"))
    evaluator = CountingEvaluator(params, keys)
    evaluator.executed = Counter()
    packed = dict(zip(program.input_names(), program.pack(hidden), strict=True))
    values: dict[str, Ciphertext] = {}
    executed: dict[str, Counter[tuple[str, int]]] = {}

    def observe(node: Any, outputs: Iterable[Ciphertext]) -> None:
        values.update(zip(node.outputs, outputs, strict=True))
        executed[node.name] = evaluator.executed.copy()
        evaluator.executed.clear()

    with pytest.MonkeyPatch.context() as patch:
        for name, (primitives, argument) in SWITCHING.items():
            patch.setattr(keyswitch, name, _counted(name, primitives, argument, evaluator.executed))
        inputs = {
            name: encrypt(secret, SlotVector(v), seed=b"tiny").expand(params) for name, v in packed.items()
        }
        results = run_graph(program.graph, evaluator, inputs, program.context(TOKENS), observe=observe)
    decrypted = {name: decrypt(secret, value).values for name, value in values.items()}
    return EncryptedRun(
        program=program,
        secret=secret,
        keys=keys,
        values=values,
        decrypted=decrypted,
        clear=_clear_values(program, packed),
        executed=executed,
        result=program.unpack([decrypted[name].real for name in results], TOKENS),
    )


# Functions of `keyswitch`: what each is counted as, and which argument has the polynomials or operands.
SWITCHING = {
    "decompose_each": (("decompose",), 1),
    "inner_product": (("inner_product",), 1),
    "add_inner_product": (("inner_product",), 2),
    "mod_down": (("mod_down",), 1),
    "mod_down_rescale": (("mod_down",), 1),
    "switch_key": (("inner_product", "mod_down"), 1),
}


def _counted(
    name: str, primitives: Sequence[str], argument: int, executed: Counter[tuple[str, int]]
) -> Callable[..., Any]:
    """The function, counted by the level of its polynomial, once for each that it takes."""
    function = getattr(keyswitch, name)

    def counting(*args: Any, **kwargs: Any) -> Any:
        taken = args[argument]
        if name == "switch_key":
            taken = [digits for digits, _ in taken]
        for x in taken if name in ("switch_key", "decompose_each") else [taken]:
            level = _level_of(args[0], x)
            executed.update((primitive, level) for primitive in primitives)
        return function(*args, **kwargs)

    return counting


def _level_of(params: Parameters, x: Any) -> int:
    """Of digits, of a polynomial [limb, N], or of two modulo QP: [2, limb, N]."""
    if isinstance(x, Digits):
        return x.ends[-1] - 1
    return int(x.shape[-2]) - 1 - (len(params.p) if x.dim() == 3 else 0)


def _clear_values(program: CompiledProgram, packed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    params = program.params
    backend = ClearBackend(params.q, params.slots)
    inputs = {name: backend.encode(v, params.max_level, params.scale) for name, v in packed.items()}
    found: dict[str, np.ndarray] = {}
    run_graph(
        program.graph,
        backend,
        inputs,
        program.context(TOKENS),
        observe=lambda node, values: found.update(
            zip(node.outputs, (value.slots for value in values), strict=True)
        ),
    )
    return found


def keys_of(run: EncryptedRun, requests: Iterable[KeyRequest]) -> EvaluationKeys:
    """Other keys of the same secret."""
    return EvaluationKeys.collect(run.program.params, evaluation_keys(run.secret, requests))
