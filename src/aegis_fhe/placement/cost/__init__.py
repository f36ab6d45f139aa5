"""What operations and messages cost: kernels per device, devices, links. Plain arithmetic, without torch."""

from aegis_fhe.placement.cost.chain import RESIDUE_BYTES, Chain, Share, share_of
from aegis_fhe.placement.cost.device import (
    DeviceFile,
    DeviceModel,
    KernelSeconds,
    Setting,
    read_device_file,
    write_device_file,
)
from aegis_fhe.placement.cost.kernels import KERNELS, KernelCounts
from aegis_fhe.placement.cost.links import LINKS, Link, Network, load_network, write_network
from aegis_fhe.placement.cost.operations import OperationCosts
from aegis_fhe.placement.cost.presets import DEVICES, load_device
from aegis_fhe.placement.cost.traffic import (
    Message,
    all_gather,
    broadcast,
    received_bytes,
    reduce_scatter,
    row_messages,
)

__all__ = [
    "DEVICES",
    "KERNELS",
    "LINKS",
    "RESIDUE_BYTES",
    "Chain",
    "DeviceFile",
    "DeviceModel",
    "KernelCounts",
    "KernelSeconds",
    "Link",
    "Message",
    "Network",
    "OperationCosts",
    "Setting",
    "Share",
    "all_gather",
    "broadcast",
    "load_device",
    "load_network",
    "read_device_file",
    "received_bytes",
    "reduce_scatter",
    "row_messages",
    "share_of",
    "write_device_file",
    "write_network",
]
