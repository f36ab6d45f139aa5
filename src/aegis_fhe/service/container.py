"""The file format between client and worker: versioned, chunked, checksummed; never a pickle.

    file    = preamble, header, chunk*, index, footer
    chunk   = record head, record header, payload (safetensors bytes), SHA-256 of all three

The pieces: `container_format` says what the bytes are, `container_tensors` is the safetensors payload,
`container_digest` hashes while the disk works, `container_writer` and `container_reader` are the two ends.
"""

from aegis_fhe.service.container_format import VERSION, Json, Limits
from aegis_fhe.service.container_reader import Chunk, ContainerReader
from aegis_fhe.service.container_writer import ContainerWriter

__all__ = ["VERSION", "Chunk", "ContainerReader", "ContainerWriter", "Json", "Limits"]
