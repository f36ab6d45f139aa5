"""From an unmodified `torch.nn.Module` to a network, its weights, and the client's embedding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from aegis_fhe.errors import UnsupportedModuleError
from aegis_fhe.program.capture.builder import NetworkBuilder
from aegis_fhe.program.capture.call import Call
from aegis_fhe.program.capture.constants import fold
from aegis_fhe.program.capture.embedding import TokenEmbedding, embedding_nodes
from aegis_fhe.program.capture.exported import ExportedModule, export
from aegis_fhe.program.capture.meaning import Embed, check_meaning
from aegis_fhe.program.capture.reader import GraphReader
from aegis_fhe.program.capture.views import whole
from aegis_fhe.program.network import Network
from aegis_fhe.program.network.graph import INPUT
from aegis_fhe.program.network.simplify import simplify

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CapturedNetwork:
    """What a module computes: `network` with `weights` on hidden states, which `embed` makes of token ids.

    weights: float64, by parameter path; rows of a fused weight are named path[first:end].
    embed: token ids -> [tokens, features], run by the client; None for a module that takes hidden states.
    """

    network: Network
    weights: dict[str, Array]
    embed: Embed | None


def capture_network(
    module: torch.nn.Module, example: torch.Tensor, *, output: str | None = None
) -> CapturedNetwork:
    """Exports the module on token ids [1, n] or hidden states [1, n, features] and reads its network.

    The module is put into evaluation mode. `output` names a field of its result ("last_hidden_state",
    "logits"); by default the first tensor is taken. n bounds the texts that `embed` takes.

    Raises UnsupportedModuleError naming the module path and the nearest supported form of what does not fit,
    and when network and module differ on random inputs.
    """
    _check_example(example)
    module = module.eval()
    exported = export(module, example, output)
    with torch.no_grad():
        network, weights, embed = _read(module, exported, example)
    check_meaning(network, weights, embed, module, example, output)
    return CapturedNetwork(network, weights, embed)


def _check_example(example: torch.Tensor) -> None:
    expected_dims = 3 if example.is_floating_point() else 2
    if example.dim() != expected_dims or example.shape[0] != 1 or example.shape[1] < 2:
        raise UnsupportedModuleError(
            f"the example has shape {list(example.shape)}: expected integer token ids [1, n] or hidden "
            "states [1, n, features] with n >= 2 (one token cannot show a mask)"
        )


def _read(
    module: torch.nn.Module, exported: ExportedModule, example: torch.Tensor
) -> tuple[Network, dict[str, Array], Embed | None]:
    symbols, dependent = _fold_constants(exported)
    embed, entry, rest = None, exported.source, dependent[1:]
    if not example.is_floating_point():
        nodes = embedding_nodes(dependent)
        embed = TokenEmbedding(nodes, dict(symbols), example.shape[1])
        entry, rest = nodes[-1], dependent[len(nodes) :]
    tokens, features = example.shape[1], entry.meta["val"].shape[-1]
    symbols[entry] = whole(INPUT, tokens, features, (1, tokens, features))
    leaves = frozenset(path for path, part in module.named_modules() if path and not any(part.children()))
    builder = NetworkBuilder(tokens, features, leaves)
    network = simplify(builder.network(GraphReader(builder, symbols).read(rest, exported.result)))
    used = sorted(name for node in network.nodes for name in _weights(node.operator))
    return network, {name: builder.weights[name].double().numpy() for name in used}, embed


def _fold_constants(exported: ExportedModule) -> tuple[dict[fx.Node, Any], list[fx.Node]]:
    """What is known at capture, and the nodes that depend on the input, in order."""
    symbols, dependent = dict(exported.known), [exported.source]
    reached = {exported.source}
    for node in exported.nodes:
        if node in symbols or node in reached:
            continue
        if reached.intersection(node.all_input_nodes):
            reached.add(node)
            dependent.append(node)
        else:
            symbols[node] = fold(Call.of(node, symbols))
    return symbols, dependent


def _weights(operator: Any) -> list[str]:
    names = [getattr(operator, field, None) for field in ("weight", "bias", "cosine", "sine")]
    return [name for name in names if name is not None]
