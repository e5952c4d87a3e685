"""Instructions of JSON Lines become places in source pixels; what is wrong is named with its file and line."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.data.grounding import read_jsonl
from isotherm.errors import InputError

CAMERA = {"K": [[100, 0, 40], [0, 100, 20], [0, 0, 1]], "R": [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "t": [0, 0, 0]}
SHIFTED = CAMERA | {"t": [-0.1, 0, 0]}


@pytest.fixture
def written(tmp_path):
    """Rows -> what the reader makes of them; two pictures of 80 x 40 pixels lie there."""
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((40, 80, 3), np.uint8)).save(tmp_path / name)

    def read(*rows, **options):
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (tmp_path / "points.jsonl").write_text("\n".join(lines))
        return read_jsonl(tmp_path / "points.jsonl", **options)

    return read


def row(**changes):
    plain = {"picture": "a.png", "text": "the cup", "annotation": "[0.25, 0.5]", "flag": "single_point"} | changes
    return {key: value for key, value in plain.items() if value is not ...}


def test_points_boxes_and_pixels(written):
    data = written(
        row(),
        "",
        row(annotation="[0.5, 0, 1, 0.5]", flag="detection_1"),
        row(annotation=[[8, 4], [16, 8]], flag="grasp_point", normalised=False),
        row(
            annotation="[[20, 10, 8, 4]]", flag="detection_2", normalised=False, box_format="xywh", source="somebody's"
        ),
    )
    points = [record.places[0][0].points.tolist() for record in data]
    assert points == [[[20, 20]], [[60, 10]], [[8, 4], [16, 8]], [[24, 12]]]
    assert [record.origin.rpartition(":")[2] for record in data] == ["1", "3", "4", "5"]
    assert (data.views, data.steps, data.grasp) == (1, 1, False)


def test_several_views_with_cameras_and_a_point_of_the_world(written):
    data = written(
        row(
            picture=...,
            pictures=["a.png", "b.png"],
            views=["left", "right"],
            annotation=...,
            flag=...,
            point=[0.2, -0.1, 1],
            cameras=[CAMERA, SHIFTED],
        ),
        row(picture=..., pictures=["a.png", "b.png"], annotation=["[0.5, 0.5]", None]),
    )
    assert [place.points.tolist() for place in data[0].places[0]] == [[[60, 10]], [[50, 10]]]
    assert data[1].places[0][1] is None
    alone = data.apart()
    assert [record.name for record in alone] == ["a.png: the cup, left", "a.png: the cup, right", "a.png: the cup"]
    assert alone[1].cameras[0].camera.translation.tolist() == [[-0.1, 0.0, 0.0]]


def test_a_view_that_has_the_point_behind_it_knows_nothing(written):
    """The second camera is turned by half a turn about the vertical, so that it looks the other way."""
    back = CAMERA | {"R": [[-1, 0, 0], [0, 1, 0], [0, 0, -1]]}
    pair = {"picture": ..., "pictures": ["a.png", "b.png"], "annotation": ..., "flag": ...}
    (record,) = written(row(point=[0, 0, 1], cameras=[CAMERA, back], **pair))
    assert record.places[0][0] is not None
    assert record.places[0][1] is None


def test_orthographic_cameras_fill_their_box(written):
    axes = {"orthographic": ["+x", "-y"]}
    data = written(
        row(annotation=..., flag=..., point=[0.5, 1, 0], cameras=[axes], bounds=[[0, 0, 0], [1, 1, 1]]),
        row(annotation=..., flag=..., point=[0.5, 1, 0], cameras=[axes | {"bounds": [[0, 0, 0], [2, 2, 2]]}]),
    )
    assert [record.places[0][0].points.tolist() for record in data] == [[[40, 0]], [[20, 20]]]


def test_a_camera_of_opencv_counts_from_the_centre_of_the_first_pixel(written):
    edge = written(row(annotation=..., flag=..., point=[0, 0, 1], cameras=[CAMERA]))
    centre = written(row(annotation=..., flag=..., point=[0, 0, 1], cameras=[CAMERA | {"pixel": "centre"}]))
    apart = centre[0].places[0][0].points - edge[0].places[0][0].points
    assert apart.tolist() == [[0.5, 0.5]]


def test_grasps_and_sequences(written):
    steps = [
        {"annotation": "[0.5, 0.5]", "angle_deg": 90, "width_px": 12},
        {"annotation": "[0, 1]", "normalised": True},
    ]
    data = written(row(annotation=..., steps=steps))
    first, second = (step[0] for step in data[0].places)
    assert first.angle_rad.tolist() == pytest.approx([math.pi / 2])
    assert first.width_px.tolist() == [12]
    assert second.points.tolist() == [[0, 40]]
    assert second.angle_rad is None
    assert (data.steps, data.grasp) == (2, True)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"points.jsonl:2: column 2: not JSON"),
        ("[1]", r"jsonl:2: found \[1\]; expected an object"),
        ('{"text": "a", "text": "b"}', r"jsonl:2: a key occurs twice"),
        (row(picture="c.png"), r"jsonl:2: there is no picture .*c.png"),
        (row(picture="../a.png"), r"jsonl:2: .*outside of the folder"),
        (row(picture=...), r"jsonl:2: expected either 'picture'"),
        (row(text=" "), r"jsonl:2: text is ' '; expected text"),
        (row(flag="point"), r"jsonl:2: flag is 'point'; expected one of detection_1"),
        (row(flag=...), r"jsonl:2: flag is None; expected one of"),
        (row(anotation="[1, 1]"), r"jsonl:2: there is no key 'anotation'; did you mean 'annotation'\?"),
        (row(annotation="[0.5, 1.5]"), r"jsonl:2: annotation: column 7 .*found y = 1.5"),
        (row(annotation="__import__('os')"), r"jsonl:2: annotation: column 1"),
        (row(annotation="[0.5]"), r"jsonl:2: annotation: .*1 numbers together"),
        (row(annotation=...), r"jsonl:2: expected either 'annotation'"),
        (row(normalised="yes"), r"jsonl:2: normalised is 'yes'; expected true or false"),
        (row(box_format="xyxy"), r"jsonl:2: box_format is 'xyxy'; expected one of x0y0x1y1"),
        (row(annotation=..., point=[0, 0, 1]), r"jsonl:2: a point of the world needs the cameras"),
        (row(cameras=[CAMERA, CAMERA]), r"jsonl:2: there are 2 cameras for 1 pictures"),
        (row(cameras=[{"K": [[1, 2], [3, 4]]}]), r"jsonl:2: K is .*; expected 3 x 3 numbers"),
        (row(cameras=[CAMERA | {"R": [[1, 0, 0], [0, 1, 0], [0, 0, 2]]}]), r"jsonl:2: rotation is not a rotation"),
        (row(cameras=[{"orthographic": ["+x", "-y"]}]), r"jsonl:2: .*there are no bounds"),
        (row(angle_deg=10), r"jsonl:2: a grasp has 'angle_deg' and 'width_px'; 'angle_deg' stands alone"),
        (row(angle_deg=10, width_px=-1), r"jsonl:2: width_px is -1"),
        (row(angle_deg=[1, 2], width_px=3), r"jsonl:2: angle_deg has 2 numbers for 1 points"),
        (row(steps=[]), r"jsonl:2: steps is \[\]; expected a list"),
        (row(annotation=..., steps=[{"anotation": "[1, 1]"}]), r"jsonl:2: step 1: there is no key 'anotation'"),
        (row(annotation=..., flag=..., point=[0, 0, -1], cameras=[CAMERA]), r"jsonl:2: no place is known in any picture"),
        (row(steps=[{"annotation": "[1, 1]"}]), r"jsonl:2: 'annotation' stands beside 'steps'"),
        (row(picture=..., pictures=["a.png", "b.png"]), r"jsonl:2: annotation is '\[0.25, 0.5\]'; expected a list"),
        (row(picture=..., pictures=["a.png", "b.png"], annotation=["[0.5, 0.5]"] * 2), r"jsonl:2: 2 pictures; .*:1 has 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(written, line, message):
    with pytest.raises(InputError, match=message):
        written(row(), line)


def test_what_is_wrong_may_be_left_out(written):
    data = written(row(), "{", row(text="the box"), skip_bad=True)
    assert [record.text for record in data] == ["the cup", "the box"]
    assert "points.jsonl:2" in data.skipped[0]


def test_a_file_without_lines_is_refused(written):
    with pytest.raises(InputError, match="has no lines"):
        written("", "  ")


def test_points_lie_in_the_upright_picture(written, tmp_path):
    """A camera's turned picture is read upright, so the shares of its sides are the upright one's."""
    turned = Image.fromarray(np.zeros((40, 80, 3), np.uint8))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    data = written(row(picture="turned.jpg", annotation="[1, 0.5]"))
    assert torch.equal(data[0].places[0][0].points, torch.tensor([[40.0, 40.0]]))
