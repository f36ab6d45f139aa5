"""The kernels of `csrc/device` on an NVIDIA GPU: compiled at first use, on torch's memory and streams.

Importing it needs no CUDA: NVRTC is looked for when kernels are compiled, the driver when they are loaded.
"""
