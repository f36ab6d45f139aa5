"""Devices in two directions: a schedule executed by all of them."""

from aegis_fhe.runtime.mesh.checkpoints import Checkpoints, DeviceState, Measured
from aegis_fhe.runtime.mesh.connect import MeshCommunicators, connect_mesh
from aegis_fhe.runtime.mesh.device import MeshDevice, rows_of
from aegis_fhe.runtime.mesh.execute import MeshExecution, MeshProgram, execute_schedule

__all__ = [
    "Checkpoints",
    "DeviceState",
    "Measured",
    "MeshCommunicators",
    "MeshDevice",
    "MeshExecution",
    "MeshProgram",
    "connect_mesh",
    "execute_schedule",
    "rows_of",
]
