"""Evaluation keys as a file: one chunk for each key, its uniform half as a seed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import torch

from aegis_fhe.ckks.key_request import FROM_SPARSE, TO_SPARSE, KeyRequest
from aegis_fhe.ckks.key_shape import half_bytes, key_limbs, parameters_of
from aegis_fhe.ckks.keys import EncapsulationKeys, EvaluationKeys, KeySwitchKey
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.errors import AegisError, CompatibilityError, ContainerError
from aegis_fhe.ring.threads import for_each
from aegis_fhe.service.container import ContainerReader, ContainerWriter
from aegis_fhe.service.residues import check_residues

KIND = "evaluation-keys"
WRITERS = 2  # most of a write is the system finding and clearing pages, which takes a core as generation does


class _KeyFacts(msgspec.Struct, forbid_unknown_fields=True):
    step: int | str
    level: int
    seed: str


def save_keys(
    params: Parameters,
    requests: list[KeyRequest],
    keys: Iterable[KeySwitchKey],
    path: Path,
    *,
    advance: Callable[[str, float], None] = lambda name, weight: None,
    durable: bool = True,
) -> None:
    """Writes keys while the next ones are generated; no more than `WRITERS` + 2 are in memory at a time.

    `advance` is told the bytes of each, in order, on the calling thread. durable: as of `ContainerWriter`.
    The bytes of the file depend on the keys alone, not on the order in which threads write them.
    """
    expected = sum(half_bytes(parameters_of(params, request), request.level) for request in requests)
    written: deque[tuple[float, Future[None]]] = deque()

    def finish_first() -> None:
        weight, future = written.popleft()
        future.result()
        advance("keys", weight)

    with (
        ContainerWriter(
            path, KIND, {"parameters": params.fingerprint()}, expected_bytes=expected, durable=durable
        ) as writer,
        ThreadPoolExecutor(WRITERS, thread_name_prefix="keys-writer") as pool,
    ):
        for key in keys:
            facts = {"step": key.request.step, "level": key.level, "seed": key.seed.hex()}
            write = writer.place(f"key {key.request.step}", {"b": key.b}, metadata=facts)
            written.append((float(half_bytes(key.params, key.level)), pool.submit(write)))
            if len(written) > WRITERS:
                finish_first()
        while written:
            finish_first()


def load_keys(
    params: Parameters, requests: list[KeyRequest], path: Path, *, sparse_weight: int = 0
) -> EvaluationKeys:
    """The keys for `requests`; every shape, level and residue is checked, by several threads.

    sparse_weight: of the program's bootstrap, if it has one. Their b are views of the mapped file, which
    nobody may write to while they live.

    Raises ContainerError for a damaged file, CompatibilityError for keys of other parameters or a missing
    key.
    """
    with ContainerReader(path, KIND, mapped=True) as reader:
        metadata = reader.metadata
        found = metadata.get("parameters") if isinstance(metadata, dict) else None
        if found != params.fingerprint():
            raise CompatibilityError(
                f"{path} holds keys of other parameters than the program's: generate keys for this program"
            )
        found_keys: list[KeySwitchKey | None] = [None] * len(reader)

        def load(index: int) -> None:
            found_keys[index] = _key(params, path, *reader.read(reader.names[index]))

        for_each(len(reader), load)
        loaded = [key for key in found_keys if key is not None]
        keys = EvaluationKeys.collect(
            params,
            (key for key in loaded if not key.request.encapsulates),
            _encapsulation(loaded, sparse_weight),
        )
    for request in requests:
        keys.find(request, params.degree)
    return keys


def _encapsulation(keys: list[KeySwitchKey], weight: int) -> EncapsulationKeys | None:
    """The keys of the sparse secret, where both are there."""
    found = {key.request.step: key for key in keys if key.request.encapsulates}
    if len(found) < 2:
        return None
    return EncapsulationKeys(to_sparse=found[TO_SPARSE], from_sparse=found[FROM_SPARSE], weight=weight)


def _key(
    params: Parameters, path: Path, name: str, tensors: dict[str, torch.Tensor], metadata: Any
) -> KeySwitchKey:
    what = f"{path}: {name}"
    try:
        facts = msgspec.convert(metadata, _KeyFacts)
        seed = bytes.fromhex(facts.seed)
        request = KeyRequest(facts.step, facts.level)
    except (msgspec.ValidationError, AegisError, ValueError) as error:
        raise ContainerError(f"{what} is not described as a key should be: {error}") from error
    if len(seed) != 32 or not 0 <= facts.level <= params.max_level or set(tensors) != {"b"}:
        raise ContainerError(f"{what} has a wrong seed, level or content: generate the keys again")
    params = parameters_of(params, request)
    if facts.level > params.max_level:
        raise ContainerError(f"{what} has level {facts.level}, expected at most {params.max_level}")
    digits = len(params.digits(facts.level))
    check_residues(tensors["b"], params, key_limbs(params, facts.level), (digits,), what)
    return KeySwitchKey(params=params, request=request, b=tensors["b"], seed=seed)
