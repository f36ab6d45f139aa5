"""Limbs of every ciphertext on all devices, as designs for accelerators have it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.strategies.rendering import Rendering
from aegis_fhe.placement.strategies.tokens import packings, whole
from aegis_fhe.program.long.divide import Division


def limb_parallel(params: Parameters, tokens: int, devices: int) -> Iterator[Rendering]:
    """Input broadcast for single key switches, output aggregation for sums where digits allow it.

    After Cinnamon (ASPLOS 2025). Special limbs replicated or split.
    """
    digits = len(params.digits(params.max_level))
    plain = replace(whole(params), world_size=devices)
    variants = [plain, replace(plain, placed="split")]
    if params.strided and digits % devices == 0:
        for aggregation in ("exact", "rounded"):
            variants += [replace(v, digits=digits, aggregation=aggregation) for v in variants[:2]]
    for packing in packings(params.slots, tokens):
        for limbs in variants:
            names = [f"T{packing.block_tokens}", limbs.placed]
            names += [limbs.aggregation] if limbs.aggregation != "none" else []
            yield Rendering(
                strategy="limb_parallel",
                variant=" ".join(names),
                packing=packing,
                division=Division(),
                mesh=Mesh(limbs=devices),
                limbs=limbs,
                rule=lambda node: (0,),
            )
