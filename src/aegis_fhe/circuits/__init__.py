"""CKKS circuits that know nothing of Transformers: polynomials, linear transforms, rotation ladders, fits.

Each circuit is written once against `Backend` and runs on ciphertexts, on clear slots, on predicted noise,
or on levels and scales.
"""
