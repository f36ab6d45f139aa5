"""All layers of a decoder as one program: each begins where the one before it ends."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import msgspec
import numpy as np

from aegis_fhe.circuits.backend import Backend
from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.circuits.counts import OperationCounts
from aegis_fhe.circuits.symbolic import SCALE_TOLERANCE, Symbol
from aegis_fhe.ckks.key_request import KeyRequest
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.errors import LevelError
from aegis_fhe.program.clear import ClearBackend
from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.compile import LongProgram
from aegis_fhe.program.long.counts import total_of
from aegis_fhe.program.long.decoder_costs import LayerCost, layer_costs
from aegis_fhe.program.long.decoder_facts import DecoderFacts, LayerFacts
from aegis_fhe.program.long.layout import Array
from aegis_fhe.program.results import ClearResult, SimulatedResult
from aegis_fhe.program.returns import HIDDEN_STATES, Returns
from aegis_fhe.program.simulated import SimulatedBackend

V = TypeVar("V")
Constants = Mapping[str, Array]
Observer = Callable[[int, Node, Sequence[V]], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class DecoderProgram:
    """Hidden states [tokens <= max_tokens, features] -> those after the last layer, by all layers in turn.

    layers: without their constants, on one bootstrap; each begins at the level at which the one before it
    ends, and its `hidden_bound` is that one's `result_bound`. constants: those of layer i, made or read each
    time they are asked for, so that one layer's are in memory at a time. digests: of each layer's constants
    (`constants_digest`). origin: what it was compiled from, for people. Raises LevelError.
    """

    layers: tuple[LongProgram, ...]
    constants: Callable[[int], Constants]
    digests: tuple[str, ...]
    origin: str

    def __post_init__(self) -> None:
        for before, after in itertools.pairwise(self.layers):
            assert before.result_bound == after.hidden_bound, "a bound is handed over"
            assert before.placement == after.placement, "a placement is handed over"

    @classmethod
    def single(cls, layer: LongProgram, origin: str) -> DecoderProgram:
        """One layer with its constants."""
        digest, constants = constants_digest(layer.constants), layer.constants
        bare = replace(layer, constants={})
        return cls(layers=(bare,), constants=lambda index: constants, digests=(digest,), origin=origin)

    @property
    def params(self) -> Parameters:
        """Of every layer."""
        return self.layers[0].params

    @property
    def bootstrap(self) -> BootstrapPlan:
        """Of every layer."""
        plan = self.layers[0].bootstrap
        assert plan is not None
        return plan

    @property
    def input_level(self) -> int:
        """Level at which the client encrypts."""
        return self.layers[0].input_level

    @property
    def max_tokens(self) -> int:
        """The longest text, in tokens."""
        return self.layers[0].max_tokens

    @property
    def public_tokens(self) -> int:
        """So many tokens at the start of every text are public and not encrypted."""
        return self.layers[0].public_tokens

    @property
    def returns(self) -> Returns:
        """Hidden states of every token."""
        return HIDDEN_STATES

    @property
    def features(self) -> int:
        """Hidden width."""
        return self.layers[0].placement.features

    def with_kernels(self, path: str | None) -> DecoderProgram:
        """The same program on another kernel path, None for the best; ParameterError for an unknown one."""
        params = replace(self.params, kernel_path=path)
        bootstrap = replace(self.bootstrap, params=params)
        layers = tuple(replace(layer, params=params, bootstrap=bootstrap) for layer in self.layers)
        return replace(self, layers=layers)

    def layer(self, index: int) -> LongProgram:
        """One layer with its constants."""
        return replace(self.layers[index], constants=self.constants(index))

    def check_tokens(self, tokens: int) -> None:
        """Raises RangeError for a text that is too long, or has no encrypted token."""
        self.layers[0].context(tokens)

    def input_names(self) -> list[str]:
        """Of the input ciphertexts."""
        return self.layers[0].input_names()

    def pack(self, hidden: Array) -> list[Array]:
        """Hidden states -> slot values of each input. Raises RangeError, LayoutError."""
        return [*self.layers[0].pack(hidden).values()]

    def unpack(self, blocks: list[Array], tokens: int) -> Array:
        """Slot values of each result -> hidden states [tokens, features], zero at public tokens."""
        last = self.layers[-1]
        return last.unpack(dict(zip(last.graph.results, blocks, strict=True)), tokens)

    def result_symbols(self) -> dict[str, Symbol]:
        """Level and scale of each result."""
        made = zip(self.layers[-1].graph.results, self.costs[-1].results, strict=True)
        return {name: replace(symbol, scale=self.params.scale) for name, symbol in made}

    def run(
        self,
        backend: Backend[V],
        inputs: Mapping[str, V],
        tokens: int,
        *,
        observe: Observer[V] | None = None,
    ) -> dict[str, V]:
        """The results on any backend. `observe` sees the layer's number, each node and its values."""
        values = dict(inputs)
        results: dict[str, V] = {}
        for index, described in enumerate(self.layers):
            names = described.input_names()
            given = {name: backend.drop_to(values.pop(name), described.input_level) for name in names}
            seen = None if observe is None else _numbered(observe, index)
            made = self.layer(index).run(backend, given, tokens, observe=seen)
            results = {name: self._nominal(backend, x) for name, x in made.items()}
            values = dict(zip(names, results.values(), strict=True))
        return results

    def _nominal(self, backend: Backend[V], x: V) -> V:
        """A result free of what float64 did to its scale."""
        scale = self.params.scale
        assert abs(backend.scale(x) / scale - 1) < SCALE_TOLERANCE, "results have the nominal scale"
        return backend.with_scale(x, scale)

    def run_clear(self, hidden: Array) -> ClearResult:
        """On float64 slots: what the approximations do, without encryption noise."""
        return ClearResult(values=self._run_open(ClearBackend(self.params.q, self.params.slots), hidden))

    def run_simulated(self, hidden: Array, *, seed: int = 0) -> SimulatedResult:
        """As `run_clear`, with noise as encryption would add it: see `SimulatedBackend`."""
        backend = SimulatedBackend(self.params, sparse_weight=self.bootstrap.weight, seed=seed)
        return SimulatedResult(values=self._run_open(backend, hidden), seed=seed)

    def _run_open(self, backend: ClearBackend, hidden: Array) -> Array:
        inputs = {
            name: backend.encode(values, self.input_level, self.params.scale)
            for name, values in zip(self.input_names(), self.pack(hidden), strict=True)
        }
        results = self.run(backend, inputs, len(hidden))
        return self.unpack([value.slots.real for value in results.values()], len(hidden))

    @cached_property
    def costs(self) -> list[LayerCost]:
        """Of each layer. Raises LevelError when one ends below the level at which the next begins."""
        costs = layer_costs(self.layers)
        for index, after in enumerate(self.layers[1:]):
            ends = min(result.level for result in costs[index].results)
            if ends < after.input_level:
                raise LevelError(
                    f"layer {index} ends at level {ends}, layer {index + 1} begins at {after.input_level}"
                )
        return costs

    def counts(self) -> OperationCounts:
        """Exact operation counts of the whole program, and the keys it needs."""
        return total_of(cost.total for cost in self.costs)

    def key_requests(self) -> list[KeyRequest]:
        """The union of the layers' evaluation keys, each at the highest level that uses it."""
        return self.counts().key_requests()

    @cached_property
    def fingerprint(self) -> str:
        """Digest of everything that must agree between client and worker."""
        return hashlib.sha256(msgspec.json.encode(self.metadata())).hexdigest()

    def metadata(self) -> dict[str, Any]:
        """Everything but the constants, as JSON data (`DecoderFacts`)."""
        first = self.layers[0]
        facts = DecoderFacts(
            parameters=self.params.to_dict(),
            bootstrap=self.bootstrap.to_dict(),
            layout=first.layout,
            placement=first.placement,
            max_tokens=self.max_tokens,
            public_tokens=self.public_tokens,
            origin=self.origin,
            layers=tuple(
                LayerFacts(
                    nodes=layer.graph.nodes,
                    results=layer.graph.results,
                    hidden_bound=layer.hidden_bound,
                    result_bound=layer.result_bound,
                    input_level=layer.input_level,
                    digest=digest,
                )
                for layer, digest in zip(self.layers, self.digests, strict=True)
            ),
        )
        builtins: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(facts))
        return builtins


def constants_digest(constants: Constants) -> str:
    """SHA-256 over names, shapes and float64 values: the address of a layer's weights."""
    digest = hashlib.sha256()
    for name in sorted(constants):
        values = np.asarray(constants[name], dtype=np.float64)
        digest.update(f"{name} {list(values.shape)}\n".encode())
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _numbered(observe: Observer[V], index: int) -> Callable[[Node, Sequence[V]], None]:
    return lambda node, values: observe(index, node, values)
