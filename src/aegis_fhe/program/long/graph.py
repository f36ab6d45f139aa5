"""One layer on grids of ciphertexts, written once as a graph."""

from __future__ import annotations

from aegis_fhe.program.graph import Graph
from aegis_fhe.program.long.grid_builder import Column, Grid, GridBuilder, joined
from aegis_fhe.program.long.group_graph import GroupGraph
from aegis_fhe.program.long.heads import AddHeads, PlaceHeads
from aegis_fhe.program.long.matrix_product import MatrixProduct
from aegis_fhe.program.long.placement import Placement
from aegis_fhe.program.long.shape import LayerRanges
from aegis_fhe.program.long.slotwise import AddFeatures, Each, WeightedProduct
from aegis_fhe.program.long.statistics import FeatureSum, SquareSum
from aegis_fhe.program.long.steps import LayerPlan
from aegis_fhe.program.operators import Add, Input, Multiply, Polynomial, Subtract


class LayerGraph:
    """Builds the graph of a layer whose values are stored divided by the bounds in `ranges`.

    refreshed: names of the cuts and side branches (`steps`) that bootstrap.
    """

    def __init__(self, plan: LayerPlan, refreshed: frozenset[str], ranges: LayerRanges) -> None:
        self.plan, self.ranges = plan, ranges
        self.shape, self.layout, self.fits = plan.shape, plan.layout, plan.fits
        self.places = plan.placements
        self.b = GridBuilder(refreshed)

    def graph(self, level: int) -> Graph:
        """The layer on hidden states at `level`. Results: block by block, column by column."""
        self.b.stage = "input"
        columns = range(self.places.hidden.columns)
        x = [tuple(self.b.one(f"x.{a}", Input(level), p) for a in columns) for p in range(self.layout.blocks)]
        total = self._sum("middle", x, self._attention(self._before("first", x)))
        middle = self.b.cut("middle", total, factor=self.ranges.hidden / self.ranges.middle_bound)
        y = self._after("first", middle)
        total = self._sum("sum", y, self._feed_forward(self._before("second", y)))
        output = self._after("second", self.b.cut("sum", total))
        output = self.b.cut("output", output, factor=self.ranges.middle_bound / self.ranges.result_bound)
        return self.b.build(tuple(name for grid in output for name in grid))

    def _attention(self, x: Grid) -> Grid:
        """Unnormalised sums, divided, and projected."""
        self.b.stage = "qkv"
        queries, keys = self.places.queries, self.places.keys
        # Values meet probabilities, which lie so much lower; keys alone are moved, which takes a level.
        below = (int(self.plan.folded and not self.shape.rotary), 0, self.plan.probability_depth)
        targets = (queries, keys, keys)
        product = self._matrix(("query", "key", "value"), self.places.hidden, targets, below)
        qkv = self.b.each("qkv", product, x, product.columns_out)
        c = queries.columns
        parts = ([grid[i * c : (i + 1) * c] for grid in qkv] for i in range(3))
        rotary, folded = self.shape.rotary, self.plan.folded
        q = self._placed("q", next(parts), queries, rotary=rotary, folded=False)
        k = self._placed("k", next(parts), keys, rotary=rotary, folded=folded)
        v = self._placed("v", next(parts), keys, rotary=False, folded=folded)
        k, v = self._with_known("k", "key", k), self._with_known("v", "value", v)
        columns: list[Column] = [() for _ in x]
        for group in range(queries.groups):
            own = slice(group * c // queries.groups, (group + 1) * c // queries.groups)
            qkv_of_group = ([grid[own] for grid in grids] for grids in (q, k, v))
            divided = GroupGraph(self.plan, self.b, group).attended(*qkv_of_group)
            columns = [(*grid, *more) for grid, more in zip(columns, divided, strict=True)]
        attended = self.b.cut("attended", columns)
        self.b.stage = "output"
        product = self._matrix(("output",), queries, (self.places.hidden,), stream=True)
        projected = self.b.each("attention", product, attended, product.columns_out)
        return self._biased("attention", ("output",), self.places.hidden, projected)

    def _feed_forward(self, x: Grid) -> Grid:
        self.b.stage, units = "expand", self.places.units
        names = ("gate", "up") if self.shape.gated else ("up",)
        product = self._matrix(names, self.places.hidden, tuple(units for _ in names), stream=True)
        expanded = self.b.each("expanded", product, x, product.columns_out)
        expanded = self.b.cut("expanded", self._biased("expanded", names, units, expanded))
        self.b.stage, n = "activate", units.columns
        activation = Each(Polynomial.of(self.fits.activation), n)
        activated = self.b.each("activated", activation, [grid[:n] for grid in expanded], n)
        if self.shape.gated:
            up = [grid[n:] for grid in expanded]
            activated = self.b.each("gated", Each(Multiply(), n), joined(activated, up), n)
        activated = self.b.cut("activated", activated)
        self.b.stage = "contract"
        product = self._matrix(("down",), units, (self.places.hidden,), stream=True)
        contracted = self.b.each("contracted", product, activated, product.columns_out)
        return self._biased("contracted", ("down",), self.places.hidden, contracted)

    def _before(self, name: str, x: Grid) -> Grid:
        """The norm of a layer that normalises first; its affine part belongs to the weights that follow."""
        if not self.shape.pre_norm:
            return x
        centred, roots = self._statistics(name, x)
        columns = self.places.hidden.columns
        product = Each(Multiply(), columns, True)
        y = self.b.each(f"{name}.scaled", product, joined(centred, roots), columns)
        return self.b.cut(f"{name}.normalised", y)

    def _after(self, name: str, x: Grid) -> Grid:
        """The norm of a layer that normalises last, with its affine part."""
        if self.shape.pre_norm:
            return x
        centred, roots = self._statistics(name, x)
        hidden = self.places.hidden
        product = WeightedProduct(f"{name}.norm.weight", hidden)
        y = self.b.each(f"{name}.weighted", product, joined(centred, roots), hidden.columns)
        if self.shape.norm == "layer":
            y = self.b.each(f"{name}.shifted", AddFeatures(f"{name}.norm.bias", hidden), y, hidden.columns)
        return self.b.cut(f"{name}.normalised", y)

    def _statistics(self, name: str, x: Grid) -> tuple[Grid, Grid]:
        """The grid less its mean, where the norm asks for that, and 1/sqrt of its variance."""
        self.b.stage, hidden = f"{name} norm", self.places.hidden
        centred, squared, excess = x, x, 0
        if self.shape.norm == "layer":
            means = [
                (self.b.one(f"{name}.mean", self._feature_sum(p, 1.0 / hidden.features), p, *grid),)
                for p, grid in enumerate(x)
            ]
            subtract = Each(Subtract(), hidden.columns, True)
            centred = self.b.each(f"{name}.centred", subtract, joined(x, means), hidden.columns)
            excess = hidden.columns * hidden.sub_slots - hidden.features
            squared = joined(centred, means) if excess else centred
        square = SquareSum(hidden.sub_slots, excess)
        return centred, self._roots(name, self.b.each(f"{name}.squares", square, squared, 1), square.multiple)

    def _roots(self, name: str, squares: Grid, multiple: int) -> Grid:
        """1/sqrt of the variances whose `multiple` was summed."""
        first = name == "first"
        series = self.fits.first_norm if first else self.fits.second_norm
        stored = self.ranges.hidden if first else self.ranges.middle_bound
        factor = series.slope * stored**2 / (multiple * self.shape.features)
        offset = series.slope * self.shape.epsilon + series.offset
        variances = [
            (self.b.one(f"{name}.variance", self._feature_sum(p, factor, offset, 1.0), p, *grid),)
            for p, grid in enumerate(squares)
        ]
        fresh = self.b.cut(f"{name}.variance", variances)
        return self.b.each(f"{name}.root", Polynomial.of(series), fresh, 1)

    def _feature_sum(self, p: int, factor: float, offset: float = 0.0, padding: float = 0.0) -> FeatureSum:
        return FeatureSum(layout=self.layout, block=p, factor=factor, offset=offset, padding=padding)

    def _placed(self, name: str, x: Grid, placement: Placement, *, rotary: bool, folded: bool) -> Grid:
        if not (rotary or folded):
            return x
        placed = []
        for p, grid in enumerate(x):
            operator = PlaceHeads(
                layout=self.layout,
                placement=placement,
                block=p,
                cosine="cosine" if rotary else None,
                sine="sine" if rotary else None,
                folded=folded,
            )
            placed.append(self.b.columns(f"{name}.placed", operator, p, grid, len(grid)))
        return placed

    def _known(self, constant: str) -> str | None:
        return constant if constant in self.plan.known else None

    def _with_known(self, name: str, role: str, x: Grid) -> Grid:
        """Keys or values with what is added to them in clear."""
        offset, public = self._known(f"{role}.offset"), self._known(f"{role}.public")
        if offset is None and public is None:
            return x
        added = []
        for p, grid in enumerate(x):
            operator = AddHeads(
                layout=self.layout,
                placement=self.places.keys,
                block=p,
                offset=offset,
                public=public,
                folded=self.plan.folded,
            )
            added.append(self.b.columns(f"{name}.known", operator, p, grid, len(grid)))
        return added

    def _sum(self, name: str, x: Grid, y: Grid) -> Grid:
        columns = self.places.hidden.columns
        return self.b.each(name, Each(Add(), columns), joined(x, y), columns)

    def _matrix(
        self,
        names: tuple[str, ...],
        source: Placement,
        targets: tuple[Placement, ...],
        below: tuple[int, ...] = (),
        stream: bool = False,
    ) -> MatrixProduct:
        """stream: what it makes ends in the residual stream."""
        biased = self._has_biases and not (stream and self.shape.pre_norm)
        return MatrixProduct(
            weights=tuple(f"{name}.weight" for name in names),
            source=source,
            targets=targets,
            biases=tuple(f"{name}.bias" for name in names) if biased else (),
            most_babies=self.plan.most_babies,
            below=below,
        )

    @property
    def _has_biases(self) -> bool:
        # A LayerNorm before a linear layer gives it its bias.
        return self.shape.biases or (self.shape.pre_norm and self.shape.norm == "layer")

    def _biased(self, label: str, names: tuple[str, ...], target: Placement, x: Grid) -> Grid:
        """Biases of what ends in the stream of a layer that normalises first, at encrypted tokens alone.

        No norm of the stream clears the places of public tokens and of padding: they must stay zero by
        themselves, or the next layer would take what is there for a token.
        """
        if not (self._has_biases and self.shape.pre_norm):
            return x
        grids, n = [], target.columns
        for p, grid in enumerate(x):
            added: Column = ()
            for k, name in enumerate(names):
                operator = AddFeatures(f"{name}.bias", target, self.layout, p)
                added += self.b.columns(f"{label}.{name}", operator, p, grid[k * n : (k + 1) * n], n)
            grids.append(added)
        return grids
