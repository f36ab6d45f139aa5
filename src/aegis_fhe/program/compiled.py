"""A compiled program: parameters, layout, graph, constants, ranges. Holds weights, but no key and no data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.circuits.counts import OperationCounts
from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.ckks.key_request import KeyRequest
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.errors import CompatibilityError, ContainerError, RangeError
from aegis_fhe.program.clear import ClearBackend
from aegis_fhe.program.encoder_ranges import EncoderRanges
from aegis_fhe.program.graph import Graph, Node
from aegis_fhe.program.interpret import run_graph
from aegis_fhe.program.layout import TokenMajorLayout
from aegis_fhe.program.operators import Context
from aegis_fhe.program.ranges import AttentionRanges
from aegis_fhe.program.results import ClearResult, SimulatedResult
from aegis_fhe.program.returns import HIDDEN_STATES, Returns
from aegis_fhe.program.simulated import SimulatedBackend

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class CompiledProgram:
    """Hidden states [tokens <= max_tokens, features] -> what `returns` says.

    hidden_scales: by which hidden states are multiplied before encryption, and by which results come out
    multiplied.
    """

    params: Parameters
    layout: TokenMajorLayout
    blocks: int
    graph: Graph
    constants: Mapping[str, Array]
    ranges: AttentionRanges | EncoderRanges
    origin: str
    bootstrap: BootstrapPlan | None = None
    hidden_scales: tuple[float, float] = (1.0, 1.0)
    returns: Returns = HIDDEN_STATES

    def with_kernels(self, path: str | None) -> CompiledProgram:
        """The same program on another kernel path, None for the best; ParameterError for an unknown one."""
        params = replace(self.params, kernel_path=path)
        bootstrap = None if self.bootstrap is None else replace(self.bootstrap, params=params)
        return replace(self, params=params, bootstrap=bootstrap)

    @property
    def max_tokens(self) -> int:
        """The longest text, in tokens."""
        return self.blocks * self.layout.tokens

    @property
    def features(self) -> int:
        """Hidden width."""
        return self.layout.width

    def context(self, tokens: int) -> Context:
        """What operators may know in a run on a text of this length.

        Raises RangeError when it is too long.
        """
        if not 1 <= tokens <= self.max_tokens:
            raise RangeError(
                f"the text has {tokens} tokens, the program was compiled for 1 to {self.max_tokens}: "
                "shorten the text, or compile for more tokens"
            )
        return Context(
            layout=self.layout,
            constants=self.constants,
            scale=self.params.scale,
            tokens=tokens,
            bootstrap=self.bootstrap,
        )

    def check_tokens(self, tokens: int) -> None:
        """Raises RangeError for a text that is too long, or empty."""
        self.context(tokens)

    @property
    def input_level(self) -> int:
        """Level at which the client encrypts: with bootstraps, that of their results."""
        return self.params.max_level if self.bootstrap is None else self.bootstrap.output_level

    def input_names(self) -> list[str]:
        """Name of the input value of each token block."""
        return [f"x[{p}]" for p in range(self.blocks)]

    def pack(self, hidden: Array) -> list[Array]:
        """Hidden states -> slot values of each token block.

        Raises RangeError or LayoutError for a wrong shape.
        """
        self.context(len(hidden))
        rows, hidden = self.layout.tokens, hidden * self.hidden_scales[0]
        return [self.layout.pack(hidden[p * rows : (p + 1) * rows]) for p in range(self.blocks)]

    def unpack(self, blocks: list[Array], tokens: int) -> Array:
        """Slot values of each result -> the client's result for a text of so many tokens, by `returns`."""
        rows = np.concatenate([self.layout.unpack(values) for values in blocks]) / self.hidden_scales[1]
        return self.returns.read(rows, tokens)

    def symbols(self) -> dict[str, Symbol]:
        """Level, scale and components of every value."""
        symbols, _ = self._symbolic
        return dict(symbols)

    def result_symbols(self) -> dict[str, Symbol]:
        """Level and scale of each result."""
        symbols, _ = self._symbolic
        return {name: symbols[name] for name in self.graph.results}

    def counts(self) -> OperationCounts:
        """Exact operation counts of the whole program, and the keys it needs."""
        _, per_node = self._symbolic
        total = OperationCounts()
        for counts in per_node.values():
            for (name, level), times in counts.by_level.items():
                total.add(name, level, times)
            for step, level in counts.keys.items():
                total.need(step, level)
        return total

    def node_counts(self) -> dict[str, OperationCounts]:
        """Operation counts of every node, by its name."""
        _, per_node = self._symbolic
        return dict(per_node)

    def key_requests(self) -> list[KeyRequest]:
        """The evaluation keys that the program uses, each at the highest level that uses it."""
        return self.counts().key_requests()

    @cached_property
    def _symbolic(self) -> tuple[dict[str, Symbol], dict[str, OperationCounts]]:
        return interpret_symbolically(self)

    def run_clear(self, hidden: Array) -> ClearResult:
        """The program on float64 slots: what its approximations do, without encryption noise."""
        values = self._run_open(ClearBackend(self.params.q, self.params.slots), hidden)
        return ClearResult(values=values, returns=self.returns)

    def run_simulated(self, hidden: Array, *, seed: int = 0) -> SimulatedResult:
        """As `run_clear`, with noise as encryption would add it: see `SimulatedBackend`."""
        weight = 0 if self.bootstrap is None else self.bootstrap.weight
        backend = SimulatedBackend(self.params, sparse_weight=weight, seed=seed)
        return SimulatedResult(values=self._run_open(backend, hidden), returns=self.returns, seed=seed)

    def _run_open(self, backend: ClearBackend, hidden: Array) -> Array:
        packed = self.pack(hidden)
        inputs = {
            name: backend.encode(values, self.input_level, self.params.scale)
            for name, values in zip(self.input_names(), packed, strict=True)
        }
        results = run_graph(self.graph, backend, inputs, self.context(len(hidden)))
        return self.unpack([results[name].slots.real for name in self.graph.results], len(hidden))

    @cached_property
    def fingerprint(self) -> str:
        """Digest of everything that must agree between client and worker."""
        digest = hashlib.sha256(msgspec.json.encode(self.metadata()))
        for name in sorted(self.constants):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(self.constants[name]).tobytes())
        return digest.hexdigest()

    def metadata(self) -> dict[str, Any]:
        """Everything but the constants, as JSON data."""
        layout = self.layout
        facts = {
            "parameters": self.params.to_dict(),
            "layout": {
                "tokens": layout.tokens,
                "heads": layout.heads,
                "head_dim": layout.head_dim,
                "zones": layout.zones,
            },
            "blocks": self.blocks,
            "nodes": msgspec.to_builtins(self.graph.nodes),
            "results": list(self.graph.results),
            "ranges": msgspec.to_builtins(self.ranges),
            "ranges_of": "encoder" if isinstance(self.ranges, EncoderRanges) else "attention",
            "bootstrap": None if self.bootstrap is None else self.bootstrap.to_dict(),
            "hidden_scales": list(self.hidden_scales),
            "returns": msgspec.to_builtins(self.returns),
            "origin": self.origin,
        }
        builtins: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(facts))
        return builtins

    @classmethod
    def from_metadata(cls, facts: Mapping[str, Any], constants: Mapping[str, Array]) -> CompiledProgram:
        """The inverse of `metadata`. Raises ContainerError when a field is missing or of another type."""
        kinds: dict[str, type[AttentionRanges | EncoderRanges]] = {
            "attention": AttentionRanges,
            "encoder": EncoderRanges,
        }
        try:
            params, plan = Parameters.from_dict(facts["parameters"]), facts["bootstrap"]
            layout = TokenMajorLayout(slots=params.slots, **msgspec.convert(facts["layout"], dict[str, int]))
            nodes = msgspec.convert(facts["nodes"], tuple[Node, ...], strict=False)
            program = cls(
                params=params,
                layout=layout,
                blocks=msgspec.convert(facts["blocks"], int),
                graph=Graph(nodes, msgspec.convert(facts["results"], tuple[str, ...], strict=False)),
                constants=constants,
                ranges=msgspec.convert(facts["ranges"], kinds[facts["ranges_of"]], strict=False),
                origin=str(facts["origin"]),
                bootstrap=None if plan is None else BootstrapPlan.from_dict(params, plan),
                hidden_scales=msgspec.convert(facts["hidden_scales"], tuple[float, float], strict=False),
                returns=msgspec.convert(facts["returns"], Returns, strict=False),
            )
        except (KeyError, TypeError, msgspec.ValidationError) as error:
            raise ContainerError(f"the program's description is incomplete or malformed: {error}") from error
        program._check_constants()
        return program

    def _check_constants(self) -> None:
        used = {
            value
            for node in msgspec.to_builtins(self.graph.nodes)
            for value in _constant_names(node["operator"])
        }
        missing = sorted(used - set(self.constants))
        if missing:
            raise CompatibilityError(f"the program lacks its constants {', '.join(missing)}")


def interpret_symbolically(
    program: CompiledProgram,
) -> tuple[dict[str, Symbol], dict[str, OperationCounts]]:
    """Levels, scales and operation counts of every node; raises what the encrypted run would raise."""
    backend = SymbolicBackend(program.params.q, program.params.slots)
    level, scale = program.input_level, program.params.scale
    inputs = {name: Symbol(level, scale) for name in program.input_names()}
    symbols: dict[str, Symbol] = {}
    counts: dict[str, OperationCounts] = {}

    def observe(node: Node, values: Any) -> None:
        symbols.update(zip(node.outputs, values, strict=True))
        counts[node.name] = backend.counts
        backend.counts = OperationCounts()

    run_graph(program.graph, backend, inputs, program.context(program.max_tokens), observe=observe)
    return symbols, counts


def _constant_names(value: Any) -> set[str]:
    """Names of constants in an operator's data: the fields `constant` and `weights`."""
    if isinstance(value, dict):
        names = {value["constant"]} if isinstance(value.get("constant"), str) else set()
        names |= {name for zone in value.get("weights", ()) for name in zone}
        return names.union(*(_constant_names(child) for child in value.values()))
    if isinstance(value, (list, tuple)):
        return set().union(*(_constant_names(child) for child in value))
    return set()
