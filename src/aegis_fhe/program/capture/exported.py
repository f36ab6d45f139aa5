"""A module exported through `torch.export`: live nodes, known tensors, one input, one result."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx
from torch.utils import _pytree as pytree

from aegis_fhe.errors import UnsupportedModuleError
from aegis_fhe.program.capture.constants import Constant


@dataclass(frozen=True, eq=False)
class ExportedModule:
    """`nodes`: what the result depends on, in order. `known`: parameters, buffers, constants, sub-graphs."""

    nodes: tuple[fx.Node, ...]
    known: Mapping[fx.Node, Any]
    source: fx.Node
    result: fx.Node


def export(module: torch.nn.Module, example: torch.Tensor, output: str | None) -> ExportedModule:
    """Exports the module for inputs of the example's shape.

    Raises UnsupportedModuleError when torch.export cannot trace it, or the output is none of its fields.
    """
    exported = _trace(module, example)
    graph = exported.graph_module.graph
    ends = next(node for node in graph.nodes if node.op == "output").args[0]
    index = choose(exported.call_spec.out_spec.unflatten(range(len(ends))), output)
    result = ends[index]
    if not isinstance(result, fx.Node):
        raise UnsupportedModuleError(f"the output {output or 0} is not computed from the input")
    live = _live(graph, result)
    sources = [node for node in live if node.name in exported.graph_signature.user_inputs]
    if len(sources) != 1:
        raise UnsupportedModuleError(f"expected a module of one tensor, found {len(sources)} used inputs")
    return ExportedModule(live, _known(exported, live), sources[0], result)


def choose(outputs: Any, output: str | None) -> Any:
    """The field of a module's outputs with that name; the first tensor without a name."""
    if output is None:
        return pytree.tree_leaves(outputs)[0]
    found = outputs.get(output) if isinstance(outputs, Mapping) else getattr(outputs, output, None)
    if not isinstance(found, (torch.Tensor, int)):  # int: the index of an exported output
        names = list(outputs) if isinstance(outputs, Mapping) else []
        raise UnsupportedModuleError(f"the module has no output {output!r}; it has {names or 'one tensor'}")
    return found


def call_arguments(module: torch.nn.Module) -> dict[str, Any]:
    """A prefill keeps no keys and values for later tokens."""
    return {"use_cache": False} if "use_cache" in inspect.signature(module.forward).parameters else {}


def _trace(module: torch.nn.Module, example: torch.Tensor) -> torch.export.ExportedProgram:
    # The fast path of torch.nn.MultiheadAttention is one opaque operator.
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        return torch.export.export(module, (example,), call_arguments(module))
    except Exception as error:  # every kind of error, the module's own included
        line = next(iter(str(error).splitlines()), type(error).__name__)
        raise UnsupportedModuleError(
            f"torch.export could not trace {type(module).__name__}: {line}; "
            "the module must take one tensor, [1, tokens] token ids or [1, tokens, features]"
        ) from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _live(graph: fx.Graph, result: fx.Node) -> tuple[fx.Node, ...]:
    needed, waiting = set(), [result]
    while waiting:
        node = waiting.pop()
        if node not in needed:
            needed.add(node)
            waiting.extend(node.all_input_nodes)
    return tuple(node for node in graph.nodes if node in needed)


def _known(exported: torch.export.ExportedProgram, live: tuple[fx.Node, ...]) -> dict[fx.Node, Any]:
    signature = exported.graph_signature
    origins = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    tensors: dict[str, Any] = {**exported.state_dict, **exported.constants}
    known: dict[fx.Node, Any] = {}
    for node in live:
        if node.op == "get_attr":
            known[node] = getattr(exported.graph_module, str(node.target))
        elif node.name in origins:
            known[node] = Constant(tensors[origins[node.name]].detach(), origins[node.name])
    return known
