"""Accuracy of an encrypted program before there is one: polynomials and noise on numbers, at any length."""

from aegis_fhe.program.simulate.ranges import NetworkRanges, SoftmaxRanges
from aegis_fhe.program.simulate.simulate import SimulatedStates, simulate

__all__ = ["NetworkRanges", "SimulatedStates", "SoftmaxRanges", "simulate"]
