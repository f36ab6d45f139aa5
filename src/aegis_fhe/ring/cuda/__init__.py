"""The kernels of `csrc/device` on an NVIDIA GPU: compiled at first use, on torch's memory and streams.

Nothing here is imported before a ring names a GPU as its kernel path.
"""
