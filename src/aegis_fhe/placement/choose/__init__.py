"""A layer's best plan: ways to compute each operator, what they cost alone and together, the best choice."""

from aegis_fhe.placement.choose.choose import Choices
from aegis_fhe.placement.choose.planning import Planning
from aegis_fhe.placement.choose.prices import Prices
from aegis_fhe.placement.choose.trials import Planned

__all__ = ["Choices", "Planned", "Planning", "Prices"]
