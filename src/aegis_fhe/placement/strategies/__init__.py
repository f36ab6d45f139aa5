"""Ways to share one layer among devices: the published ones, each as good as it can be, and ours."""

from aegis_fhe.placement.strategies.columns import replicated, tensor_parallel
from aegis_fhe.placement.strategies.limbs import limb_parallel
from aegis_fhe.placement.strategies.rendering import BABIES, Rendering, place
from aegis_fhe.placement.strategies.tokens import single, token

__all__ = [
    "BABIES",
    "Rendering",
    "limb_parallel",
    "place",
    "replicated",
    "single",
    "tensor_parallel",
    "token",
]
