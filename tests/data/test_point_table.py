"""Tables of points: the three forms by hand, round trips, Parquet, and a table of bad ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings

from isotherm.data.point_table import read_point_table, write_point_table
from isotherm.errors import InputError, MissingExtraError, OptionError
from isotherm.points import State
from rigs.keypoint_sets import assert_same_records, made, parts, save_pictures

LONG = """picture,point,x,y,state,px_per_cm,group
one.png,tip,1.5,2,,80,north
one.png,tail,-3,4,labelled,80,north
day/two.png,tip,20,2e1,occluded,,
"""
WIDE = """picture,tip_x,tip_y,tail_x,tail_y,tail_state,box_x0,box_y0,box_x1,box_y1,area
one.png,1.5,2,-3,4,out_of_frame,0,1,9,8,30.5
day/two.png,20,20,,,absent,,,,,
"""
DEEPLABCUT = """scorer,anna,anna,anna,anna
bodyparts,tip,tip,tail,tail
coords,x,y,x,y
one.png,1,1.5,-3.5,3.5
day/two.png,19.5,19.5,,
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    dpath = tmp_path_factory.mktemp("pictures")
    save_pictures(dpath)
    return dpath


def read(dpath, text, pictures, **options):
    (dpath / "points.csv").write_text(text, encoding="utf-8")
    return read_point_table(dpath / "points.csv", pictures, **options)


def values(record):
    return record.points.nan_to_num(-1).tolist(), record.state.tolist()


def test_long(tmp_path, pictures):
    got = read(tmp_path, LONG, pictures)
    assert got.names == ("tip", "tail")
    first, second = got
    assert values(first) == ([[1.5, 2], [-3, 4]], [State.LABELLED, State.OUT_OF_FRAME])
    assert values(second) == ([[20, 20], [-1, -1]], [State.OCCLUDED, State.UNLABELLED])
    assert (first.px_per_cm, first.group, first.name, first.origin) == (
        80,
        "north",
        "one.png",
        f"{tmp_path / 'points.csv'}:2",
    )
    assert (second.px_per_cm, second.group, second.picture) == (None, "", pictures / "day" / "two.png")


def test_wide(tmp_path, pictures):
    first, second = read(tmp_path, WIDE, pictures)
    assert values(first) == ([[1.5, 2], [-3, 4]], [State.LABELLED, State.OUT_OF_FRAME])
    assert values(second) == ([[20, 20], [-1, -1]], [State.LABELLED, State.ABSENT])
    assert (first.box, first.area, second.box, second.area) == ((0, 1, 9, 8), 30.5, None, None)


@pytest.mark.parametrize("form", ["one column", "three columns"])
def test_deeplabcut(tmp_path, pictures, form):
    text = DEEPLABCUT
    if form == "three columns":
        lines = [line.split(",", 1) for line in text.splitlines()]
        lead = ["scorer,,", "bodyparts,,", "coords,,", ".,.,one.png", ".,day,two.png"]
        text = "\n".join(f"{start},{rest}" for start, (_, rest) in zip(lead, lines, strict=True))
    first, second = got = read(tmp_path, text, pictures)
    assert got.names == ("tip", "tail")
    assert values(first) == ([[1.5, 2], [-3, 4]], [State.LABELLED, State.OUT_OF_FRAME])
    assert values(second) == ([[20, 20], [-1, -1]], [State.LABELLED, State.UNLABELLED])
    assert first.origin.endswith(":4")


@pytest.mark.parametrize(
    ("text", "pixel", "x"),
    [(LONG, None, 1.5), (LONG, "centre", 2.0), (DEEPLABCUT, None, 1.5), (DEEPLABCUT, "edge", 1.0)],
)
def test_what_0_means(tmp_path, pictures, text, pixel, x):
    assert read(tmp_path, text, pictures, pixel=pixel)[0].points[0, 0] == x


def test_names_say_the_order(tmp_path, pictures):
    got = read(tmp_path, LONG, pictures, names=("wing", "tail", "tip"))
    assert values(got[1]) == ([[-1, -1], [-1, -1], [20, 20]], [0, 0, 2])
    for text in (LONG, WIDE):
        with pytest.raises(InputError, match="'tail', which is not among names: tip"):
            read(tmp_path, text, pictures, names=["tip"])
    with pytest.raises(OptionError, match="expected different names"):
        read(tmp_path, LONG, pictures, names=["tip", "tip"])


def test_several_objects_in_a_picture(tmp_path, pictures):
    got = read(
        tmp_path, "picture,object,left_x,left_y,right_x,right_y\none.png,a,1,2,3,4\none.png,b,5,6,7,8\n", pictures
    )
    assert [record.name for record in got] == ["one.png#a", "one.png#b"]
    assert got[0].picture == got[1].picture
    assert got.swaps == ((0, 1),)


def test_columns_to_pass_over(tmp_path, pictures):
    text = LONG.replace("group", "site")
    with pytest.raises(InputError, match=r"points\.csv:1: column 'site' is not known; expected .*ignore=\['site'\]"):
        read(tmp_path, text, pictures)
    assert read(tmp_path, text, pictures, ignore=["site"])[0].group == ""
    assert read(tmp_path, WIDE, pictures, ignore=["tail_x", "tail_y", "tail_state"]).names == ("tip",)


def test_pictures_beside_the_table(pictures):
    fpath = pictures / "points.csv"
    fpath.write_text(LONG)
    assert read_point_table(fpath)[0].picture == pictures / "one.png"


L, W, D = LONG.splitlines()[0], WIDE.splitlines()[0], "\n".join(DEEPLABCUT.splitlines()[:3])
BAD = {
    # name: the text, words of the message
    "no picture column": ("point,x,y\n", r"expected picture, point, x, y \(long\), or"),
    "semicolons": ("picture;point;x;y\n", "separate columns by commas"),
    "both forms": (
        "picture,point,x,y,tip_x,tip_y\n",
        r"could be a long table \(point, x, y\) or a wide one \(tip_x, tip_y\)",
    ),
    "half of long": ("picture,x,y\n", "the header has the columns picture, x, y; expected"),
    "a column twice": ("picture,point,x,x,y\n", "the column 'x' occurs twice"),
    "one of a pair": ("picture,tip_x,tip_y,tail_x\n", "column 'tail_x' is not known"),
    "no rows at all": ("\n", "has no rows"),
    "unknown picture": (f"{L}\non.png,tip,1,2,,,\n", r"points\.csv:2: there is no picture .*did you mean .*one\.png"),
    "escaping": (f"{L}\n../one.png,tip,1,2,,,\n", r"points\.csv:2: .*lies outside of the folder"),
    "absolute": (f"{L}\n/etc/hostname,tip,1,2,,,\n", "lies outside of the folder"),
    "no picture": (f"{L}\n,tip,1,2,,,\n", r"points\.csv:2: column 'picture' is empty; expected text"),
    "no point": (f"{L}\none.png,,1,2,,,\n", "column 'point' is empty"),
    "text": (f"{L}\none.png,tip,1,two,,,\n", r"points\.csv:2: column 'y' is 'two'; expected a number such as 12.5"),
    "nan": (f"{L}\none.png,tip,nan,2,,,\n", "column 'x' is 'nan'"),
    "infinite": (f"{L}\none.png,tip,1e999,2,,,\n", "column 'x' is inf; expected a finite number"),
    "half a place": (f"{L}\none.png,tip,1,,,,\n", "column 'y' is empty and 'x' is not"),
    "half a place, wide": (f"{W}\none.png,,1,,,,,,,,\n", "column 'tip_x' is empty and 'tip_y' is not"),
    "point twice": (
        f"{L}\none.png,tip,1,2,,,\none.png,tip,1,2,,,\n",
        r"points\.csv:3: tip of one.png has a row already, .*:2; give a column 'object'",
    ),
    "picture twice": (
        f"{W}\none.png,1,1,,,,,,,,\none.png,1,1,,,,,,,,\n",
        r"points\.csv:3: one.png has a row already, .*:2",
    ),
    "odd state": (
        f"{L}\none.png,tip,1,2,seen,,\n",
        "column 'state' is 'seen'; expected unlabelled, labelled, occluded",
    ),
    "a number as state": (f"{L}\none.png,tip,1,2,2,,\n", "column 'state' is '2'"),
    "labelled nowhere": (f"{L}\none.png,tip,,,labelled,,\n", "column 'state' is labelled, and there is no place"),
    "absent somewhere": (f"{W}\none.png,,,1,2,absent,,,,,\n", "column 'tail_state' is absent, and there is a place"),
    "outside and inside": (
        f"{L}\none.png,tip,1,2,out_of_frame,,\n",
        r"points\.csv:2: tip is out_of_frame at \(1.0, 2.0\), which is within the picture, 40 x 30",
    ),
    "two scales": (
        f"{L}\none.png,tip,1,2,,80,\none.png,tail,1,2,,81,\n",
        r"points\.csv:3: px_per_cm of one.png is 81.0, but 80.0 at .*:2",
    ),
    "one scale": (f"{L}\none.png,tip,1,2,,,\none.png,tail,1,2,,81,\n", "px_per_cm of one.png is 81.0, but None"),
    "scale of 0": (f"{L}\none.png,tip,1,2,,0,\n", "column 'px_per_cm' is 0; expected a number above 0"),
    "part of a box": (f"{W}\none.png,1,1,,,,1,,,,\n", "have 1 numbers; expected all four"),
    "box from its end": (f"{W}\none.png,1,1,,,,9,1,1,5,\n", "the box .* has its corners in another order"),
    "a column too many": (f"{L}\none.png,tip,1,2,,,,\n", r"points\.csv:2: 8 columns; the first row has 7"),
    "several animals": ("scorer,a,a\nindividuals,m,m\nbodyparts,t,t\ncoords,x,y\n", "Several animals are not read"),
    "predictions": (
        "scorer,a,a,a\nbodyparts,t,t,t\ncoords,x,y,likelihood\n",
        r"points\.csv:3: .*these are predictions",
    ),
    "two scorers": ("scorer,a,a,b,b\nbodyparts,t,t,u,u\ncoords,x,y,x,y\n", "several scorers, a, b"),
    "y before x": ("scorer,a,a\nbodyparts,t,t\ncoords,y,x\n", "expected x, y of one part after another"),
    "parts mixed": ("scorer,a,a\nbodyparts,t,u\ncoords,x,y\n", "expected x, y of one part after another"),
    "a part twice": ("scorer,a,a,a,a\nbodyparts,t,t,t,t\ncoords,x,y,x,y\n", "a body part occurs twice"),
    "a header alone": ("scorer,a,a\n", "the header rows begin with scorer; expected"),
    "text in DeepLabCut": (f"{D}\none.png,1,2,3,four\n", r"points\.csv:4: column 'tail_y' is 'four'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables(tmp_path, pictures, case):
    text, says = BAD[case]
    with pytest.raises(InputError, match=says):
        read(tmp_path, text, pictures)


@pytest.mark.parametrize(
    "case",
    [case for case, (text, _) in BAD.items() if text.startswith((f"{L}\n", f"{W}\n")) and case != "a column too many"],
)
def test_bad_records_are_left_out(tmp_path, pictures, case):
    text, says = BAD[case]
    good = "day/two.png,tip,1,2,,,\n" if text.startswith(L) else "day/two.png,1,2,,,,,,,,\n"
    with pytest.raises(InputError, match=says) as caught:
        read(tmp_path, text + good, pictures)
    got = read(tmp_path, text + good, pictures, skip_bad=True)
    assert [record.name for record in got] == ["day/two.png"]
    assert got.skipped == (str(caught.value),)


def test_other_kinds_of_files(tmp_path, pictures):
    with pytest.raises(InputError, match=r"ends in \.csv or \.parquet, this one in '\.xlsx'"):
        read_point_table(tmp_path / "points.xlsx", pictures)
    with pytest.raises(InputError, match="there is no annotation file"):
        read_point_table(tmp_path / "points.csv", pictures)
    with pytest.raises(InputError, match="there is no folder of pictures"):
        read(tmp_path, LONG, tmp_path / "none")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts(absent=True))
def test_round_trip(tmp_path, pictures, parts):
    one = made(parts, pictures)
    write_point_table(one, tmp_path / "out.csv", images_dpath=pictures)
    got = read_point_table(tmp_path / "out.csv", pictures, names=one.names)
    assert_same_records(got, one)
    assert got.skipped == ()


def test_what_cannot_be_written(tmp_path, pictures):
    one = read(tmp_path, LONG, pictures)
    with pytest.raises(InputError, match="lies outside of"):
        write_point_table(one, tmp_path / "out.csv")
    with pytest.raises(InputError, match="its picture is in memory"):
        write_point_table(
            replace(one, records=[replace(one[0], picture=np.zeros((3, 4, 3), np.uint8))]),
            tmp_path / "out.csv",
            images_dpath=pictures,
        )
    assert not (tmp_path / "out.csv").exists()


def test_parquet(tmp_path, pictures):
    polars = pytest.importorskip("polars", reason="no writer of Parquet files")
    frame = {
        "picture": ["one.png", "one.png", "day/two.png"],
        "point": ["tip", "tail", "tip"],
        "x": [1.5, -3.0, None],
        "y": [2, 4, None],
    }
    polars.DataFrame(frame).write_parquet(tmp_path / "points.parquet")
    got = read_point_table(tmp_path / "points.parquet", pictures)
    assert values(got[0]) == ([[1.5, 2], [-3, 4]], [State.LABELLED, State.OUT_OF_FRAME])
    assert values(got[1]) == ([[-1, -1], [-1, -1]], [State.UNLABELLED] * 2)
    assert got[1].origin.endswith("points.parquet: row 3")
    for x, says in (
        (["1", "2", "3"], "row 1: column 'x' is '1'; expected a number"),
        ([1.0, float("nan"), 2], "row 2: column 'x' is nan"),
    ):
        polars.DataFrame(frame | {"x": x}).write_parquet(tmp_path / "points.parquet")
        with pytest.raises(InputError, match=says):
            read_point_table(tmp_path / "points.parquet", pictures)
    (tmp_path / "points.parquet").write_text("hello")
    with pytest.raises(InputError, match=r"is not Parquet that (polars|pyarrow\.parquet) can read"):
        read_point_table(tmp_path / "points.parquet", pictures)


def test_parquet_without_a_reader(tmp_path, pictures, monkeypatch):
    (tmp_path / "points.parquet").write_text("hello")

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr("isotherm.data.table_forms.import_module", missing)
    with pytest.raises(MissingExtraError, match="reading a Parquet table needs"):
        read_point_table(tmp_path / "points.parquet", pictures)


class Library:
    """A stand-in for the three libraries: every one's way to the same columns."""

    def __init__(self, columns):
        self.columns = columns

    def read_table(self, fpath):
        return self

    def read_parquet(self, fpath):
        return self

    def to_pydict(self):
        return self.columns

    def to_dict(self, *, as_series=True, orient="dict"):
        assert as_series is False or orient == "list"
        return self.columns


@pytest.mark.parametrize("there", ["pyarrow.parquet", "polars", "pandas"])
def test_any_reader_of_parquet_will_do(tmp_path, pictures, monkeypatch, there):
    (tmp_path / "points.parquet").write_text("hello")

    def found(name):
        if name == there:
            return Library({"picture": ["one.png"], "tip_x": [1], "tip_y": [2.5]})
        raise ImportError(name)

    monkeypatch.setattr("isotherm.data.table_forms.import_module", found)
    assert values(read_point_table(tmp_path / "points.parquet", pictures)[0]) == ([[1, 2.5]], [State.LABELLED])


def test_points_are_float32(tmp_path, pictures):
    record = read(tmp_path, LONG, pictures)[0]
    assert (record.points.dtype, record.state.dtype) == (torch.float32, torch.int64)
