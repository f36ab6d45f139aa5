"""From ordinary PyTorch modules to what they compute: a whole network, or one attention sub-layer."""

from aegis_fhe.program.capture.attention import AttentionSubLayer, LinearLayer, capture_attention
from aegis_fhe.program.capture.module import CapturedNetwork, capture_network

__all__ = [
    "AttentionSubLayer",
    "CapturedNetwork",
    "LinearLayer",
    "capture_attention",
    "capture_network",
]
