"""Long texts: hidden states as grids of ciphertexts, token blocks by feature blocks, with periodic weights.

Operators live in modules of their own, `graph` builds a layer of them, `levels` places its bootstraps,
`counts` says what it costs and `compile` joins it with weights. This file imports none of them: the operators
are part of `program.operators.Operator`, which the graph needs.
"""
