"""Reading a network backwards as the parts of an encoder."""

from __future__ import annotations

from aegis_fhe.program.capture import LinearLayer
from aegis_fhe.program.network import Linear, NetworkNode
from aegis_fhe.program.network.walk import NetworkWalk


class EncoderWalk(NetworkWalk):
    """A walk that takes weights along."""

    def linear(self, value: str, role: str) -> tuple[LinearLayer, NetworkNode]:
        """The linear layer that made a value, without a bias with zero. Raises UnsupportedModuleError."""
        operator, node = self.expect(value, Linear, role)
        bias = self.vector(operator.bias, operator.out_features, 0.0)
        return LinearLayer(path=node.path, weight=self.weights[operator.weight], bias=bias), node
