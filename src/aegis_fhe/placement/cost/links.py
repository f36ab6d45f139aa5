"""How long messages take: alpha-beta links, one between all devices or one inside and one between hosts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec

from aegis_fhe.errors import ParameterError
from aegis_fhe.placement.cost.struct_file import read_struct, write_struct
from aegis_fhe.placement.cost.traffic import Message

FORMAT, VERSION = "aegis-link", 1

MEASURED = "measured"
"""How the source of what a machine showed begins; all else is a data sheet's or a projection."""

Rate = Annotated[float, msgspec.Meta(ge=1e3, le=1e15)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
Latency = Annotated[float, msgspec.Meta(ge=0, le=1)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]

REACHABLE = 0.7
"""Of a data sheet's rate. 60 to 80 % are usual for messages of many MiB; this is the middle, an estimate, and
a link that was measured should be given as a file instead."""


class Link(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One end of a device's (or a host's) connection: seconds = messages * latency + bytes / (rate * share).

    bytes_per_second: by the data sheet, in one direction; the other direction has as much at the same time.
    share: what of that long messages reach. latency_seconds: of one message, whatever its size.
    """

    name: Name
    bytes_per_second: Rate
    latency_seconds: Latency
    share: Share = REACHABLE
    source: str = ""

    @property
    def measured(self) -> bool:
        """Whether messages were sent over it, and it is not a data sheet's."""
        return self.source.startswith(MEASURED)

    @property
    def reachable_bytes_per_second(self) -> float:
        """What long messages get, in one direction."""
        return self.bytes_per_second * self.share

    def occupied_seconds(self, load: Load) -> float:
        """Until one end has sent and received all of its messages; both directions run at once."""
        rounds = max(load.messages_in, load.messages_out)
        longest = max(load.bytes_in, load.bytes_out)
        return rounds * self.latency_seconds + longest / self.reachable_bytes_per_second


class Load:
    """What passes one end of a link."""

    def __init__(self) -> None:
        self.bytes_in = self.bytes_out = self.messages_in = self.messages_out = 0


class Network(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Devices on one link each; with `between_hosts`, in hosts of `devices_per_host` consecutive devices.

    A host has one link of its own, which its devices share. Time of a set of messages, all posted at once:
    that of the busiest end, max of in and out; links inside and between hosts work at the same time. What a
    message between hosts takes on its way inside them is left out: those links are the faster ones.
    """

    link: Link
    between_hosts: Link | None = None
    devices_per_host: Annotated[int, msgspec.Meta(ge=1, le=1024)] | None = None
    format: str = FORMAT
    version: int = VERSION

    def __post_init__(self) -> None:
        if (self.between_hosts is None) != (self.devices_per_host is None):
            raise ValueError("between_hosts and devices_per_host belong together: give both or none")

    @property
    def measured(self) -> bool:
        """Whether all of its links were."""
        return self.link.measured and (self.between_hosts is None or self.between_hosts.measured)

    @property
    def name(self) -> str:
        """For tables."""
        if self.between_hosts is None:
            return self.link.name
        return f"{self.link.name} in hosts of {self.devices_per_host}, {self.between_hosts.name} between"

    def host(self, device: int) -> int:
        """Which host a device is in."""
        return 0 if self.devices_per_host is None else device // self.devices_per_host

    def seconds(self, messages: Iterable[Message]) -> float:
        """Until all messages, posted at once, have arrived; 0 for none."""
        devices: defaultdict[int, Load] = defaultdict(Load)
        hosts: defaultdict[int, Load] = defaultdict(Load)
        for message in messages:
            ends = self.host(message.source), self.host(message.destination)
            if ends[0] == ends[1]:
                _carry(devices, message.source, message.destination, message)
            else:
                _carry(hosts, *ends, message)
        inside = (self.link.occupied_seconds(load) for load in devices.values())
        outside = (self._between.occupied_seconds(load) for load in hosts.values())
        return max(max(inside, default=0.0), max(outside, default=0.0))

    @property
    def _between(self) -> Link:
        assert self.between_hosts is not None
        return self.between_hosts


def _carry(loads: defaultdict[int, Load], source: int, destination: int, message: Message) -> None:
    sender, receiver = loads[source], loads[destination]
    sender.bytes_out += message.bytes
    sender.messages_out += message.messages
    receiver.bytes_in += message.bytes
    receiver.messages_in += message.messages


_DATA_SHEET = "rate by the data sheet, per direction; share and latency are estimates"

# A message of NCCL or of peer copies costs a kernel launch and a handshake, of the order of ten microseconds
# inside a host; twice that through a network card. Orders of magnitude, not measurements.
_NEAR_SECONDS, _FAR_SECONDS = 10e-6, 20e-6

_PRESETS = {
    "a6000-nvlink": (56e9, _NEAR_SECONDS),
    "a100-nvlink": (300e9, _NEAR_SECONDS),
    "h100-nvlink": (450e9, _NEAR_SECONDS),
    "h200-nvlink": (450e9, _NEAR_SECONDS),
    "pcie4": (31e9, _NEAR_SECONDS),
    "pcie5": (63e9, _NEAR_SECONDS),
    "ethernet-100g": (100e9 / 8, _FAR_SECONDS),
    "ethernet-400g": (400e9 / 8, _FAR_SECONDS),
}

LINKS = {
    name: Link(name=name, bytes_per_second=rate, latency_seconds=latency, source=_DATA_SHEET)
    for name, (rate, latency) in _PRESETS.items()
}
"""By name: NVLink bridge of an A6000, NVLink of A100, H100 and H200, PCIe 4 and 5 x16, 100 and 400 Gb/s."""


def load_network(name: str | Path) -> Network:
    """A preset of `LINKS` by its name, or a JSON file of `Network`'s fields.

    Raises ParameterError for a name that is neither, ContainerError for a file that does not fit.
    """
    if isinstance(name, str) and name in LINKS:
        return Network(link=LINKS[name])
    path = Path(name)
    if not path.is_file():
        raise ParameterError(f"link {str(name)!r} is neither a file nor one of {', '.join(LINKS)}")
    return read_struct(path, Network, FORMAT, VERSION, f"write it anew, or take one of {', '.join(LINKS)}")


def write_network(path: Path, network: Network) -> None:
    """Raises ContainerError where nothing can be written."""
    write_struct(path, network)
