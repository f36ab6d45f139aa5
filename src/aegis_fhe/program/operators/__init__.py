"""What a node can do.

Each operator is data; its `lower` states it in CKKS operations, for every interpreter. The names load on use:
operators of long texts need `context` of this package, and `Operator` needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aegis_fhe.lazy_names import load_on_use

if TYPE_CHECKING:
    from aegis_fhe.program.long.attention import StreamingAttention
    from aegis_fhe.program.long.diagonals import Babies
    from aegis_fhe.program.long.heads import AddHeads, PlaceHeads
    from aegis_fhe.program.long.matrix_product import ColumnBabies, MatrixProduct
    from aegis_fhe.program.long.product_terms import ProductSums, ProductTerms
    from aegis_fhe.program.long.reciprocal import Reciprocal
    from aegis_fhe.program.long.score_chunks import ScoreChunk
    from aegis_fhe.program.long.slotwise import AddFeatures, Each, WeightedProduct
    from aegis_fhe.program.long.statistics import FeatureSum, HeadSum, SquareSum
    from aegis_fhe.program.long.weighted_sums import GiantSums, WeightedSums
    from aegis_fhe.program.operators.arithmetic import (
        Add,
        AddScalar,
        ComplexParts,
        Multiply,
        MultiplyI,
        Polynomial,
        ScalarMinus,
        Subtract,
    )
    from aegis_fhe.program.operators.attention import Attend, Scores, Shear
    from aegis_fhe.program.operators.context import Context
    from aegis_fhe.program.operators.linear import Project
    from aegis_fhe.program.operators.operator import Operator
    from aegis_fhe.program.operators.plain import AddPlain, MultiplyPlain, PlainSum
    from aegis_fhe.program.operators.refresh import Refresh
    from aegis_fhe.program.operators.rotation import RotateSum, SumOfRotations
    from aegis_fhe.program.operators.source import Input
else:
    __getattr__ = load_on_use(
        __name__,
        {
            "Add": "aegis_fhe.program.operators.arithmetic",
            "AddFeatures": "aegis_fhe.program.long.slotwise",
            "AddHeads": "aegis_fhe.program.long.heads",
            "AddPlain": "aegis_fhe.program.operators.plain",
            "AddScalar": "aegis_fhe.program.operators.arithmetic",
            "Attend": "aegis_fhe.program.operators.attention",
            "Babies": "aegis_fhe.program.long.diagonals",
            "ColumnBabies": "aegis_fhe.program.long.matrix_product",
            "ComplexParts": "aegis_fhe.program.operators.arithmetic",
            "Context": "aegis_fhe.program.operators.context",
            "Each": "aegis_fhe.program.long.slotwise",
            "FeatureSum": "aegis_fhe.program.long.statistics",
            "GiantSums": "aegis_fhe.program.long.weighted_sums",
            "HeadSum": "aegis_fhe.program.long.statistics",
            "Input": "aegis_fhe.program.operators.source",
            "MatrixProduct": "aegis_fhe.program.long.matrix_product",
            "Multiply": "aegis_fhe.program.operators.arithmetic",
            "MultiplyI": "aegis_fhe.program.operators.arithmetic",
            "MultiplyPlain": "aegis_fhe.program.operators.plain",
            "Operator": "aegis_fhe.program.operators.operator",
            "PlaceHeads": "aegis_fhe.program.long.heads",
            "PlainSum": "aegis_fhe.program.operators.plain",
            "Polynomial": "aegis_fhe.program.operators.arithmetic",
            "ProductSums": "aegis_fhe.program.long.product_terms",
            "ProductTerms": "aegis_fhe.program.long.product_terms",
            "Project": "aegis_fhe.program.operators.linear",
            "Reciprocal": "aegis_fhe.program.long.reciprocal",
            "Refresh": "aegis_fhe.program.operators.refresh",
            "RotateSum": "aegis_fhe.program.operators.rotation",
            "ScalarMinus": "aegis_fhe.program.operators.arithmetic",
            "ScoreChunk": "aegis_fhe.program.long.score_chunks",
            "Scores": "aegis_fhe.program.operators.attention",
            "Shear": "aegis_fhe.program.operators.attention",
            "SquareSum": "aegis_fhe.program.long.statistics",
            "StreamingAttention": "aegis_fhe.program.long.attention",
            "Subtract": "aegis_fhe.program.operators.arithmetic",
            "SumOfRotations": "aegis_fhe.program.operators.rotation",
            "WeightedProduct": "aegis_fhe.program.long.slotwise",
            "WeightedSums": "aegis_fhe.program.long.weighted_sums",
        },
    )

__all__ = [
    "Add",
    "AddFeatures",
    "AddHeads",
    "AddPlain",
    "AddScalar",
    "Attend",
    "Babies",
    "ColumnBabies",
    "ComplexParts",
    "Context",
    "Each",
    "FeatureSum",
    "GiantSums",
    "HeadSum",
    "Input",
    "MatrixProduct",
    "Multiply",
    "MultiplyI",
    "MultiplyPlain",
    "Operator",
    "PlaceHeads",
    "PlainSum",
    "Polynomial",
    "ProductSums",
    "ProductTerms",
    "Project",
    "Reciprocal",
    "Refresh",
    "RotateSum",
    "ScalarMinus",
    "ScoreChunk",
    "Scores",
    "Shear",
    "SquareSum",
    "StreamingAttention",
    "Subtract",
    "SumOfRotations",
    "WeightedProduct",
    "WeightedSums",
]
