"""Any of them: what the operator of a node may be."""

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
from aegis_fhe.program.operators.linear import Project
from aegis_fhe.program.operators.plain import AddPlain, MultiplyPlain, PlainSum
from aegis_fhe.program.operators.refresh import Refresh
from aegis_fhe.program.operators.rotation import RotateSum, SumOfRotations
from aegis_fhe.program.operators.source import Input

Operator = (
    Input
    | Project
    | Shear
    | Scores
    | Attend
    | Add
    | Subtract
    | AddScalar
    | ScalarMinus
    | Multiply
    | MultiplyI
    | ComplexParts
    | Polynomial
    | AddPlain
    | MultiplyPlain
    | PlainSum
    | RotateSum
    | SumOfRotations
    | Refresh
    | MatrixProduct
    | ProductTerms
    | ProductSums
    | AddHeads
    | PlaceHeads
    | Babies
    | ColumnBabies
    | ScoreChunk
    | WeightedSums
    | GiantSums
    | StreamingAttention
    | FeatureSum
    | HeadSum
    | Reciprocal
    | SquareSum
    | Each
    | WeightedProduct
    | AddFeatures
)
