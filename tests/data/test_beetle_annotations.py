"""Beetles: both forms by hand, the same from each, and a table of bad entries."""

from __future__ import annotations

import copy
import json
import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isotherm.data.beetle_annotations import read_beetles
from isotherm.errors import InputError, OptionError
from isotherm.points import State
from rigs.keypoint_sets import save_pictures

HAWAII = {
    "picture": "one.png",
    "group": "Hawaii",
    "scale_bar": {"points": [[1, 2], [9, 9], [31, 42]], "cm": 0.5},
    "lines": {"length": [[2, 4], [30, 4.5]], "width": [[5, 3], [5.5, 4], [5, -6]]},
}
PALOOZA = {"picture": "day/two.png", "group": "BeetlePalooza", "lines": {"length": [[1, 1], [19, 19]]}}
CSV = """picture,group,scale_bar,scale_bar_cm,width,length
one.png,Hawaii,1 2;9 9; 31 42,0.5,5 3; 5.5 4; 5 -6,2 4;30 4.5
day/two.png,BeetlePalooza,,,,1 1;19 19
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    dpath = tmp_path_factory.mktemp("pictures")
    save_pictures(dpath)
    return dpath


def written(dpath, content):
    fpath = dpath / "beetles.json"
    fpath.write_text("[\n" + ",\n".join(json.dumps(one) for one in content) + "\n]")
    return fpath


def in_csv(dpath, text=CSV):
    (dpath / "beetles.csv").write_text(text)
    return dpath / "beetles.csv"


@pytest.mark.parametrize("form", ["json", "csv"])
def test_by_hand(tmp_path, pictures, form):
    fpath = written(tmp_path, [HAWAII, PALOOZA]) if form == "json" else in_csv(tmp_path)
    got = read_beetles(fpath, pictures)
    assert got.names == ("width_p0", "width_p1", "length_p0", "length_p1")
    assert got.exchangeable == ((0, 1), (2, 3))
    assert got.lines == {"width": (0, 1), "length": (2, 3)}
    first, second = got
    assert first.points.tolist() == [[5, 3], [5, -6], [2, 4], [30, 4.5]]
    assert first.state.tolist() == [State.LABELLED, State.OUT_OF_FRAME, State.LABELLED, State.LABELLED]
    assert first.px_per_cm == 100  # ends (1, 2) and (31, 42): 50 px are half a centimetre
    assert (first.group, first.name, first.origin, first.picture) == (
        "Hawaii",
        "one.png",
        f"{fpath}:2",
        pictures / "one.png",
    )
    assert second.state.tolist() == [State.UNLABELLED, State.UNLABELLED, State.LABELLED, State.LABELLED]
    assert bool(second.points[:2].isnan().all())
    assert second.px_per_cm is None
    assert got.groups == {"Hawaii": 1, "BeetlePalooza": 1}


def test_one_group(tmp_path, pictures):
    fpath = written(tmp_path, [HAWAII, PALOOZA])
    assert read_beetles(fpath, pictures, group="BeetlePalooza").groups == {"BeetlePalooza": 1}
    assert len(read_beetles(fpath, pictures, group="BioRepo")) == 0
    with pytest.raises(OptionError, match="group is 'Oahu'; expected one of Hawaii, BeetlePalooza, BioRepo"):
        read_beetles(fpath, pictures, group="Oahu")


def test_what_0_means(tmp_path, pictures):
    fpath = written(tmp_path, [HAWAII])
    edge, centre = read_beetles(fpath, pictures)[0], read_beetles(fpath, pictures, pixel="centre")[0]
    assert torch.equal(centre.points, edge.points + 0.5)
    assert centre.px_per_cm == edge.px_per_cm


def changed(*path, to):
    """HAWAII with one place changed (to=None: taken away)."""
    content = copy.deepcopy(HAWAII)
    at = content
    for step in path[:-1]:
        at = at[step]
    if to is None:
        del at[path[-1]]
    else:
        at[path[-1]] = to
    return content


BAD = {
    "no object": ([1], r"found \[1\]; expected an object"),
    "no picture": (changed("picture", to=None), "there is no 'picture'"),
    "missing": (changed("picture", to="on.png"), r"there is no picture .*did you mean .*one\.png"),
    "escaping": (changed("picture", to="../one.png"), "lies outside of the folder"),
    "twice": (
        changed("picture", to="day/../day/two.png"),
        r"the picture day/\.\./day/two\.png has an entry already, .*:2; expected one beetle",
    ),
    "no group": (changed("group", to=None), "there is no 'group'; expected one of Hawaii"),
    "another group": (changed("group", to="Oahu"), "'group' is 'Oahu'; expected one of Hawaii"),
    "no lines": (changed("lines", to=None), "there is no 'lines'"),
    "another line": (
        changed("lines", "height", to=[[1, 2], [3, 4]]),
        "'lines' has the key 'height'; expected width, length",
    ),
    "no width": (
        changed("lines", "width", to=None),
        "there is no line 'width' in 'lines'; every beetle of Hawaii has width and length",
    ),
    "no length": (
        PALOOZA | {"picture": "one.png", "lines": {"width": [[1, 2], [3, 4]]}},
        "every beetle of BeetlePalooza has length",
    ),
    "one point": (
        changed("lines", "width", to=[[1, 2]]),
        r"the line 'width' is \[\[1, 2\]\]; expected at least two points",
    ),
    "three numbers": (
        changed("lines", "width", to=[[1, 2, 3], [1, 2, 3]]),
        "expected at least two points, each of x and y",
    ),
    "flat": (changed("lines", "width", to=[1, 2, 3, 4]), "expected at least two points"),
    "text": (changed("lines", "width", 1, to=["5", 4]), "a coordinate of the line 'width' is '5'"),
    "nan in between": (changed("lines", "width", 1, to=[float("nan"), 4]), "is nan; expected a finite number"),
    "closed": (
        changed("lines", "width", to=[[1, 2], [3, 4], [1, 2]]),
        r"the line 'width' ends where it begins, at \(1.0, 2.0\)",
    ),
    "no cm": (changed("scale_bar", "cm", to=None), "there is no 'cm' in 'scale_bar'"),
    "cm of 0": (changed("scale_bar", "cm", to=0), "'cm' of the scale bar is 0; expected a number above 0"),
    "cm of text": (changed("scale_bar", "cm", to="1"), "'cm' of the scale bar is '1'; expected a number"),
    "cm that is true": (changed("scale_bar", "cm", to=True), "'cm' of the scale bar is True"),
    "no bar": (changed("scale_bar", "points", to=None), "there is no 'points'"),
    "bar of one point": (changed("scale_bar", "points", to=[[1, 2], [1, 2]]), "the scale bar ends where it begins"),
    "bar of another form": (changed("scale_bar", to=[1, 2]), "'scale_bar' is .*; expected"),
    "another key": (
        changed("scalebar", to=1),
        "the entry has the key 'scalebar'; expected picture, group, scale_bar, lines",
    ),
    "another key of the bar": (changed("scale_bar", "mm", to=1), "'scale_bar' has the key 'mm'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_entries(tmp_path, pictures, case):
    bad, says = BAD[case]
    fpath = written(tmp_path, [PALOOZA, bad])
    with pytest.raises(InputError, match=rf"beetles\.json:3: .*{says}") as caught:
        read_beetles(fpath, pictures)
    got = read_beetles(fpath, pictures, skip_bad=True)
    assert [record.name for record in got] == ["day/two.png"]
    assert got.skipped == (str(caught.value),)


BAD_ROWS = {
    "no y": (",,5 3;5,1 1;2 2", "the line 'width' is .*; expected at least two points, each of x and y"),
    "commas": (',,"5,3;5,4",1 1;2 2', "column 'width' is '5,3'; expected a number"),
    "bar without cm": ("1 1;2 2,,1 1;2 2,1 1;2 2", "one of 'scale_bar' and 'scale_bar_cm' is empty"),
    "cm in words": ("1 1;2 2,one,1 1;2 2,1 1;2 2", "column 'scale_bar_cm' is 'one'"),
    "no width": (",,,1 1;2 2", "there is no line 'width'"),
    "a last semicolon": (",,1 1;2 2;,1 1;2 2", "expected at least two points, each of x and y"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows(tmp_path, pictures, case):
    cells, says = BAD_ROWS[case]
    fpath = in_csv(tmp_path, CSV.splitlines()[0] + f"\none.png,Hawaii,{cells}\n")
    with pytest.raises(InputError, match=rf"beetles\.csv:2: .*{says}") as caught:
        read_beetles(fpath, pictures)
    got = read_beetles(fpath, pictures, skip_bad=True)
    assert (len(got), got.skipped) == (0, (str(caught.value),))


def test_bad_files(tmp_path, pictures):
    with pytest.raises(
        InputError,
        match=r"beetles\.csv:1: the header has the columns picture, group; expected picture, group, scale_bar",
    ):
        read_beetles(in_csv(tmp_path, "picture,group\n"), pictures)
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(InputError, match="it is an object; expected a list"):
        read_beetles(tmp_path / "a.json", pictures)
    with pytest.raises(InputError, match=r"end in \.json or \.csv, these in '\.xml'"):
        read_beetles(tmp_path / "a.xml", pictures)


COORDINATE = st.floats(-100, 100).map(lambda x: round(x, 3))
POLYLINE = st.lists(st.tuples(COORDINATE, COORDINATE), min_size=2, max_size=4).filter(lambda line: line[0] != line[-1])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(POLYLINE, POLYLINE, POLYLINE, st.floats(0.01, 10))
def test_both_forms_say_the_same(tmp_path, pictures, width, length, bar, cm):
    content = {
        "picture": "one.png",
        "group": "BioRepo",
        "scale_bar": {"points": bar, "cm": cm},
        "lines": {"width": width, "length": length},
    }

    def cell(line):
        return "; ".join(f"{x!r} {y!r}" for x, y in line)

    row = f"one.png,BioRepo,{cell(bar)},{cm!r},{cell(width)},{cell(length)}\n"
    (one,), (other,) = (
        read_beetles(written(tmp_path, [content]), pictures),
        read_beetles(in_csv(tmp_path, CSV.splitlines()[0] + "\n" + row), pictures),
    )
    assert torch.equal(one.points, other.points)
    assert torch.equal(one.points.double(), torch.tensor([width[0], width[-1], length[0], length[-1]]).double())
    assert one.state.tolist() == other.state.tolist()
    assert (
        one.px_per_cm
        == other.px_per_cm
        == pytest.approx(math.hypot(bar[-1][0] - bar[0][0], bar[-1][1] - bar[0][1]) / cm, rel=1e-12)
    )
