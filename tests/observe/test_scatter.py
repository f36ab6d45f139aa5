"""Drawings are XML whose marks lie where the axes say."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from aegis_fhe.observe.scatter import BOTTOM, HEIGHT, MOST_TICKS, Axis, Series, scatter_svg, stacked_svg

SVG = "{http://www.w3.org/2000/svg}"
X, Y = Axis(label="bytes", show=lambda x: f"{x:g} B"), Axis(label="time", show=lambda y: f"{y:g} s")


def drawn(*series: Series) -> ET.Element:
    return ET.fromstring(scatter_svg("a < b & c", X, Y, series))


def circles(root: ET.Element) -> list[tuple[float, float]]:
    """Of points, without the legend's mark, which comes last."""
    return [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in root.iter(f"{SVG}circle")][:-1]


def test_equal_factors_are_equal_steps_to_the_right_and_time_grows_upwards_from_zero():
    root = drawn(Series(name="line", points=[(1, 8.0), (4, 4.0), (16, 0.0)], joined=True))
    (x0, y0), (x1, y1), (x2, y2) = circles(root)
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.11)
    assert x1 > x0
    assert y2 == HEIGHT - BOTTOM
    assert y2 - y0 == pytest.approx(2 * (y2 - y1), abs=0.11)


def test_zero_has_its_place_left_of_all_others():
    root = drawn(Series(name="line", points=[(0, 1.0), (1e-3, 1.0), (1e9, 1.0)], joined=True))
    places = [x for x, _ in circles(root)]
    assert places == sorted(places)
    texts = [t.text for t in root.iter(f"{SVG}text")]
    assert "0 B" in texts
    assert "0 B" not in [t.text for t in drawn(Series(name="n", points=[(1, 1.0)])).iter(f"{SVG}text")]


def test_names_labels_and_title_are_text_whatever_they_hold():
    root = drawn(Series(name="<one>", points=[(1, 1.0)]), Series(name="two", points=[(1, 2.0)]))
    texts = [t.text for t in root.iter(f"{SVG}text")]
    assert {"a < b & c", "<one>", "two", "bytes", "time"} <= set(texts)


@pytest.mark.parametrize("spread", [1, 1.5, 1e3, 1e12])
def test_ticks_are_few_and_enclose_the_points(spread: float):
    root = drawn(Series(name="n", points=[(3, 0.37), (3 * spread, 0.1)]))
    ticks = [float(t.text[:-2]) for t in root.iter(f"{SVG}text") if t.text and t.text.endswith(" B")]
    assert 2 <= len(ticks) <= MOST_TICKS
    assert ticks[0] <= 3
    seconds = [float(t.text[:-2]) for t in root.iter(f"{SVG}text") if t.text and t.text.endswith(" s")]
    assert seconds[0] == 0
    assert 4 <= len(seconds) <= MOST_TICKS + 1


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="at least one point"):
        drawn(Series(name="none", points=[]))


def test_on_a_logarithmic_axis_equal_factors_are_equal_steps_upwards():
    axis = Axis(label="tokens", show=lambda y: f"{y:g} t", logarithmic=True)
    points = [(1, 128.0), (2, 512.0), (4, 2048.0)]
    text = scatter_svg("title", X, axis, [Series(name="line", points=points, joined=True)])
    root = ET.fromstring(text)
    (_, y0), (_, y1), (_, y2) = circles(root)
    assert y0 == HEIGHT - BOTTOM
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.11)
    assert y0 > y1
    ticks = [float(t.text[:-2]) for t in root.iter(f"{SVG}text") if t.text and t.text.endswith(" t")]
    assert ticks == [128, 256, 512, 1024, 2048]
    with pytest.raises(ValueError, match="no place for zero"):
        scatter_svg("title", X, axis, [Series(name="line", points=[(1, 0.0)])])


def test_stacked_drawings_lie_one_below_the_other():
    one = scatter_svg("title", X, Y, [Series(name="n", points=[(1, 1.0)])])
    root = ET.fromstring(stacked_svg([one, one]))
    assert root.attrib["height"] == str(2 * HEIGHT)
    assert [g.attrib["transform"] for g in root.iter(f"{SVG}g")] == [
        "translate(0 0)",
        f"translate(0 {HEIGHT})",
    ]
