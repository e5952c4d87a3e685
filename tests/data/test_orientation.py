"""Places in turned pictures: where they go, and that every reader of annotations reads them in either pixels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.data.beetle_annotations import read_beetles
from isotherm.data.coco import read_coco
from isotherm.data.fsc147 import ANNOTATIONS, CLASSES, PICTURES, SPLITS, read_fsc147
from isotherm.data.gaze.align import align
from isotherm.data.gaze.clock import read_clock
from isotherm.data.gaze.formats.raw import RawGaze
from isotherm.data.gaze.head_boxes import turned_rows
from isotherm.data.gaze.points_store import write_points
from isotherm.data.gaze.recording import GazeRecording
from isotherm.data.gaze.scaled_store import fitted_store
from isotherm.data.gaze.stores import open_gaze_store
from isotherm.data.grounding import read_jsonl, read_refcoco
from isotherm.data.orientation import Turn, Turns, quarter_turns
from isotherm.data.pictures import read_picture, read_picture_turn
from isotherm.data.point_table import read_point_table
from isotherm.data.video import probe_video, read_frames
from isotherm.errors import InputError, OptionError
from rigs.breadth import wide
from rigs.videos import turn_clip, write_clip

H, W = 30, 40
STORED = {"nose": (9.5, 4.5), "tail": (31.5, 20.5)}
"""Centres of two pixels, as they are stored."""


def turned_file(fpath, orientation):
    """A picture whose two marked pixels are where STORED says, with a note of how to turn it."""
    array = np.zeros((H, W, 3), np.uint8)
    array[4, 9], array[20, 31] = (250, 0, 0), (0, 250, 0)
    tags = Image.Exif()
    tags[0x0112] = orientation
    Image.fromarray(array).save(fpath, exif=tags.tobytes())
    return fpath


def marks(array):
    """The centres (x, y) of the red and of the green pixel."""
    found = [np.argwhere(array[..., channel] > 200) for channel in (0, 1)]
    assert [len(one) for one in found] == [1, 1]
    return [(float(x) + 0.5, float(y) + 0.5) for ((y, x),) in found]


# every orientation in one format, and every format turned in one way
@pytest.mark.parametrize(
    ("suffix", "orientation"),
    [
        *((".png", orientation) for orientation in range(1, 9)),
        *((suffix, 7) for suffix in (".tif", ".webp")),
        *wide((suffix, turned) for suffix in (".tif", ".webp") for turned in range(1, 9) if turned != 7),
    ],
)
def test_places_go_where_the_reader_of_pictures_puts_their_pixels(tmp_path, suffix, orientation):
    fpath = tmp_path / f"a{suffix}"
    if suffix == ".webp":
        tags = Image.Exif()
        tags[0x0112] = orientation
        with Image.open(turned_file(tmp_path / "b.png", 1)) as image:
            image.save(fpath, lossless=True, exif=tags.tobytes())
    else:
        turned_file(fpath, orientation)
    turn = read_picture_turn(fpath)
    assert (turn.stored, turn.orientation) == ((H, W), orientation)
    picture = read_picture(fpath)
    assert turn.size == picture.size
    assert turn.points(torch.tensor(list(STORED.values()))).tolist() == [list(xy) for xy in marks(picture.array)]


def test_exif_behind_the_pixels_of_a_png_turns_as_the_reader_does(tmp_path):
    content = turned_file(tmp_path / "a.png", 6).read_bytes()
    start = content.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(content[start : start + 4], "big")
    last = content.index(b"IEND") - 4
    fpath = tmp_path / "b.png"
    fpath.write_bytes(content[:start] + content[end:last] + content[start:end] + content[last:])
    turn, picture = read_picture_turn(fpath), read_picture(fpath)
    assert (turn.orientation, turn.size) == (6, picture.size) == (6, (W, H))
    assert turn.points(torch.tensor(list(STORED.values()))).tolist() == [list(xy) for xy in marks(picture.array)]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_and_directions_are_those_of_their_corners_and_ends(orientation):
    turn = Turn((H, W), orientation)
    box, (start, end) = (3.0, 2.0, 13.0, 7.0), torch.tensor([[5.0, 5.0], [8.0, 9.0]], dtype=torch.float64)
    corners = turn.points(torch.tensor([[x, y] for x in (3.0, 13.0) for y in (2.0, 7.0)]))
    assert turn.box(box) == (*corners.amin(0).tolist(), *corners.amax(0).tolist())
    moved = turn.points(torch.stack([start, end]))
    want = torch.atan2(*(moved[1] - moved[0]).flip(0))
    got = turn.angles(torch.atan2(*(end - start).flip(0)))
    assert float((got - want).abs()) < 1e-12


@pytest.mark.usefixtures("unchecked")
def test_a_word_that_is_no_orientation():
    with pytest.raises(OptionError, match="orientation is 'sideways'"):
        Turns("sideways")


# --- every reader --------------------------------------------------------------------------------------------


def coco(folder, **options):
    flat = [k for x, y in STORED.values() for k in (x, y, 2)]
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "categories": [{"id": 1, "name": "fish", "keypoints": list(STORED)}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "keypoints": flat, "bbox": [9, 4, 23, 17]}],
    }
    (folder / "a.json").write_text(json.dumps(content))
    data = read_coco(folder / "a.json", pixel="edge", **options)
    return data[0].points.tolist(), data[0].box, data.notes


def long_table(folder, **options):
    rows = [f"a.png,{name},{x},{y},9,4,32,21" for name, (x, y) in STORED.items()]
    (folder / "a.csv").write_text("\n".join(["picture,point,x,y,box_x0,box_y0,box_x1,box_y1", *rows]))
    data = read_point_table(folder / "a.csv", **options)
    return data[0].points.tolist(), data[0].box, data.notes


def wide_table(folder, **options):
    places = ",".join(f"{x},{y}" for x, y in STORED.values())
    (folder / "a.csv").write_text(f"picture,nose_x,nose_y,tail_x,tail_y\na.png,{places}\n")
    data = read_point_table(folder / "a.csv", **options)
    return data[0].points.tolist(), None, data.notes


def beetles(folder, **options):
    entry = {"picture": "a.png", "group": "BeetlePalooza", "lines": {"length": list(STORED.values())}}
    (folder / "a.json").write_text(json.dumps([entry]))
    data = read_beetles(folder / "a.json", folder, **options)
    return data[0].points[2:].tolist(), None, data.notes


def jsonl(folder, **options):
    rows = [
        {"picture": "a.png", "text": name, "flag": "single_point", "annotation": [x / W, y / H]}
        for name, (x, y) in STORED.items()
    ]
    (folder / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = read_jsonl(folder / "a.jsonl", **options)
    return [record.places[0][0].points[0].tolist() for record in data], None, data.notes


def refcoco(folder, **options):
    boxes = [{"id": i, "image_id": 1, "bbox": [x - 2, y - 3, 4, 6]} for i, (x, y) in enumerate(STORED.values())]
    (folder / "i.json").write_text(json.dumps({"images": [{"id": 1, "file_name": "a.png"}], "annotations": boxes}))
    refs = [{"ann_id": i, "image_id": 1, "sentences": ["fish"]} for i in range(2)]
    (folder / "refs.json").write_text(json.dumps(refs))
    data = read_refcoco(folder / "refs.json", folder / "i.json", folder, **options)
    return [record.places[0][0].points[0].tolist() for record in data], None, data.notes


def fsc147(folder, **options):
    (folder / PICTURES).mkdir()
    (folder / "a.png").rename(folder / PICTURES / "a.png")
    box = [[9, 4], [9, 21], [32, 21], [32, 4]]
    whole = {"a.png": {"points": list(STORED.values()), "box_examples_coordinates": [box]}}
    for name, text in ((ANNOTATIONS, whole), (SPLITS, {"test": ["a.png"]})):
        (folder / name).write_text(json.dumps(text))
    (folder / CLASSES).write_text("a.png\tfish\n")
    notes = []
    (one,) = read_fsc147(folder, say=notes.append, **options)
    return one.points.tolist(), tuple(one.boxes[0].tolist()), tuple(notes)


READERS = [coco, long_table, wide_table, beetles, jsonl, refcoco, fsc147]


@pytest.mark.parametrize("orientation", [1, 7, *wide([3, 6])])
@pytest.mark.parametrize("reader", READERS)
def test_places_of_stored_pixels_are_turned_with_the_picture(tmp_path, reader, orientation):
    want = marks(read_picture(turned_file(tmp_path / "a.png", orientation)).array)
    points, box, notes = reader(tmp_path, orientation="stored")
    np.testing.assert_allclose(points, want, atol=1e-4)
    assert box in (None, Turn((H, W), orientation).box((9.0, 4.0, 32.0, 21.0)))
    assert ("as stored, as was said" in " ".join(notes)) == (orientation != 1)


@pytest.mark.parametrize("reader", READERS)
def test_places_of_upright_pixels_stay_and_the_turned_picture_is_noted(tmp_path, reader):
    turned_file(tmp_path / "a.png", 3)  # of the same size, so that no size says anything
    points, box, notes = reader(tmp_path)
    np.testing.assert_allclose(points, list(STORED.values()), atol=1e-4)
    assert box in (None, (9.0, 4.0, 32.0, 21.0))
    (note,) = [note for note in notes if "turned" in note]
    assert "a.png is turned upright" in note
    assert "say orientation 'stored'" in note


def test_cameras_of_stored_pixels_do_not_go_with_a_picture_that_is_read_upright(tmp_path):
    turned_file(tmp_path / "a.png", 6)
    camera = {"K": [[30, 0, 20], [0, 30, 15], [0, 0, 1]], "R": np.eye(3).tolist(), "t": [0, 0, 2]}
    line = {"picture": "a.png", "text": "fish", "point": [0, 0, 0], "cameras": [camera]}
    (tmp_path / "a.jsonl").write_text(json.dumps(line))
    assert len(read_jsonl(tmp_path / "a.jsonl")) == 1
    with pytest.raises(InputError, match="cameras of the stored pixels of a turned picture"):
        read_jsonl(tmp_path / "a.jsonl", orientation="stored")


# --- videos --------------------------------------------------------------------------------------------------


@pytest.fixture
def phone(tmp_path):
    """A video of a phone that was held upright, which its container turns by a quarter."""
    write_clip(tmp_path / "v.mp4", frames=6, rate=10, h=48, w=64)
    turn_clip(tmp_path / "v.mp4")
    return tmp_path / "v.mp4"


@pytest.mark.parametrize(("degrees", "orientation"), [(0, 1), (90, 8), (180, 3), (-90, 6), (270, 6), (float("nan"), 1)])
def test_the_angle_of_a_container_is_one_of_four_turns(degrees, orientation):
    assert quarter_turns((H, W), degrees).orientation == orientation


def gaze(unit, xy):
    seconds = np.arange(1, 6) / 10
    places = np.repeat(np.array([xy]) / (np.array([64, 48]) if unit == "shares" else 1), 5, 0)
    return RawGaze(
        Path("g.csv"), "test", np.rint(seconds * 1e9).astype(np.int64), places, unit, np.ones(5, np.float32), "video"
    )


@pytest.mark.parametrize("unit", ["pixels", "shares"])
def test_gaze_of_stored_pixels_is_turned_with_its_video(phone, unit):
    """The top left quarter of the stored video is red: gaze in it must be on red in the frames as they are read."""
    clock = read_clock(phone)
    assert clock.own == probe_video(phone).own == Turn((48, 64), clock.own.orientation)
    assert clock.own.turned
    found = align(gaze(unit, (10.0, 10.0)), clock=clock, orientation="stored").recording
    assert found.size == clock.size == (64, 48)
    x, y = (int(k) for k in found.xy[0])
    frame = next(iter(read_frames(phone))).array()
    assert frame[y, x, 0] > 180 > 90 > frame[y, x, 1]
    assert any("as stored, as was said" in note for note in found.notes)
    plain = align(gaze(unit, (10.0, 10.0)), clock=clock).recording
    np.testing.assert_allclose(plain.xy[0], (10, 10) if unit == "pixels" else (10 / 64 * 48, 10 / 48 * 64))
    assert any("v.mp4 is turned upright" in note for note in plain.notes)


def test_boxes_of_heads_in_stored_pixels_are_turned_with_their_video(phone):
    turn = probe_video(phone).own
    rows = turned_rows(np.array([[2.0, 3.0, 20.0, 9.0, 0.7], [0, 0, 64, 48, 1]]), turn)
    assert rows[0].tolist() == [*turn.box((2.0, 3.0, 20.0, 9.0)), 0.7]
    assert rows[1].tolist() == [0, 0, 48, 64, 1]


def test_a_store_of_the_stored_size_says_that_the_video_is_turned(tmp_path):
    recording = GazeRecording.of([0.0, 0.1], [[32.0, 24.0], [7.0, 4.0]], size=(48, 64))
    write_points(recording, tmp_path / "gaze.parquet")
    with pytest.raises(InputError, match="it is a video that its container turns, it seems"):
        fitted_store(open_gaze_store(tmp_path / "gaze.parquet"), (64, 48), "v.mp4")
