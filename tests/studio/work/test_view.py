"""What the page shows, as it is written: values in halves, boxes and shares by hand, whatever the values are."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.frame import Frame
from isotherm.heatmap import Heatmap
from isotherm.moments import Moments
from isotherm.studio.heatmaps import HeatmapFolder
from isotherm.studio.store.blobs import NotThere
from isotherm.studio.view_files import FOLDER, INDEX, pictures_of, view_of, view_path
from isotherm.studio.work.view import ViewWriter

PICTURE = np.zeros((20, 40, 3), np.uint8)
FRAME = Frame.resize((20, 40), (2, 4))


def relevance(values, **fields) -> Heatmap:
    return Heatmap(torch.tensor(values), FRAME, "relevance", signed=True, label="a cat", **fields)


def written(tmp_path, maps, **facts):
    ViewWriter(tmp_path, command="isotherm explain a.png").add({"name": "a.png", **facts}, PICTURE, maps)
    view = view_of(tmp_path, 0)
    data = view_path(tmp_path, 0, ".f16").read_bytes()
    blocks = [np.frombuffer(data, "<f2", one["bytes"] // 2, one["offset"]) for one in view["maps"]]
    return view, [block.astype(np.float64) * one["unit"] for block, one in zip(blocks, view["maps"], strict=True)]


def test_values_and_shares_of_a_map(tmp_path):
    values = [[0.0, 1e-9, 2e-9, -4e-9], [0.0, 0.0, 0.0, 1e-9]]  # far below what float16 can hold
    facts = {"label": "cat", "confidence": 0.9, "box": [10, 0, 25, 20]}
    view, (back,) = written(tmp_path, [relevance(values)], findings=[facts], question="What?", answer="a black cat")
    np.testing.assert_allclose(back.reshape(2, 4), values, rtol=1e-3)
    (one,) = view["maps"]
    assert (one["h"], one["w"], one["type"], one["offset"], one["bytes"]) == (2, 4, "f2", 0, 16)
    # the second cell wholly and half of the third: 1 + 1 of 4 in all
    assert one["statistics"]["mass_per_box"] == [pytest.approx(0.5)]
    assert sum(one["statistics"]["histogram"]["counts"]) == 8
    assert one["command"] == "isotherm explain a.png"
    assert (view["boxes"], view["labels"]) == ([[10, 0, 25, 20]], ["cat 0.90"])
    assert [word["text"] for word in view["words"]] == ["a", "black", "cat"]
    assert (view["h"], view["w"]) == (20, 40)


def test_maps_without_numbers_stay_what_they_are(tmp_path):
    nan = [[math.nan] * 4] * 2
    mixed = [[math.inf, -math.inf, math.nan, 3.0], [0.0] * 4]
    box = {"label": "cat", "confidence": 0.9, "box": [0, 0, 40, 20]}
    view, (none, some, zero) = written(
        tmp_path, [relevance(nan), relevance(mixed), relevance([[0.0] * 4] * 2)], findings=[box]
    )
    assert np.isnan(none).all()
    np.testing.assert_array_equal(some.reshape(2, 4), np.array(mixed))
    np.testing.assert_array_equal(zero, 0)
    statistics = [one["statistics"] for one in view["maps"]]
    assert [one["histogram"] is None for one in statistics] == [True, False, False]
    assert [one["mass_per_box"] for one in statistics] == [[None], [1.0], [None]]


def test_every_moment_of_a_clip_is_a_picture_on_one_scale(tmp_path):
    moments = Moments(((0.0, 2.0), (2.0, 4.0)), (0, 2), ((0.0, 0.5), (0.5, 1.0)))
    clip = Heatmap(
        torch.stack([torch.full((2, 4), 1.0), torch.full((2, 4), 2.0)]),
        FRAME,
        "relevance",
        label="runs",
        picture=np.stack([PICTURE, PICTURE]),
        moments=moments,
    )
    ViewWriter(tmp_path, command="c").add({"name": "a.mp4"}, PICTURE, [clip])
    first, second = pictures_of(tmp_path)
    assert (first["moment_s"], second["moment_s"]) == (0.0, 0.5)
    assert first["name"] != second["name"]
    highs = {view_of(tmp_path, i)["maps"][0]["high"] for i in (0, 1)}
    assert len(highs) == 1


def test_a_list_that_is_being_written_is_read_as_far_as_it_goes(tmp_path):
    writer = ViewWriter(tmp_path, command="c")
    writer.add({"name": "a.png"}, PICTURE, [])
    writer.fail("b.png", "it is damaged")
    index = tmp_path / FOLDER / INDEX
    index.write_bytes(index.read_bytes() + b'{"index": 2, "na')
    done, failed = pictures_of(tmp_path)
    assert (done["maps"], done["status"], failed["error"]) == (0, "done", "it is damaged")
    with pytest.raises(NotThere, match="no picture 1 that can be shown"):
        view_of(tmp_path, 1)
    assert json.loads(index.read_bytes().splitlines()[0])["index"] == 0


def test_what_is_listed_shows_the_map_where_it_says_anything(tmp_path):
    written(tmp_path, [relevance([[0.0] * 4, [0.0, 0.0, 0.0, 5.0]])])
    small, bare = (
        np.asarray(Image.open(view_path(tmp_path, 0, suffix))).astype(int) for suffix in (".map.jpg", ".thumb.jpg")
    )
    assert small.shape == bare.shape == (20, 40, 3)
    assert bare.max() < 10
    assert small[15:, 34:].mean() > 60  # where the value is
    assert small[:8, :20].max() < 30  # and nowhere else
    (tmp_path / "silent").mkdir()
    ViewWriter(tmp_path / "silent", command="c").add({"name": "a.png"}, PICTURE, [relevance([[0.0] * 4] * 2)])
    with pytest.raises(NotThere):
        view_path(tmp_path / "silent", 0, ".map.jpg")


def test_a_preview_becomes_the_view_when_its_files_are_there(tmp_path):
    """Nothing is written twice but what names the files."""
    writer = ViewWriter(tmp_path / "run", command="c", heatmaps=HeatmapFolder(tmp_path / "heatmaps"))
    (tmp_path / "run").mkdir()
    maps, facts = [relevance([[0.0, 1.0, 2.0, 3.0]] * 2)], {"name": "a.png", "chosen": ["the last layer"]}
    writer.preview(facts, PICTURE, maps)
    early, values = view_of(tmp_path / "run", 0), view_path(tmp_path / "run", 0, ".f16").stat()
    assert (early["maps"][0]["files"], early["maps"][0]["heatmap"]) == ([], None)
    assert [line["name"] for line in pictures_of(tmp_path / "run")] == ["a.png"]
    Image.fromarray(PICTURE).save(tmp_path / "run" / "a.00-cat.jpg")
    writer.add({**facts, "files": ["a.00-cat.jpg", "a.00-cat.npz"]}, PICTURE, maps)
    view = view_of(tmp_path / "run", 0)
    assert view["maps"][0]["files"] == ["a.00-cat.jpg", "a.00-cat.npz"]
    assert (tmp_path / "heatmaps" / view["maps"][0]["heatmap"]).is_file()
    assert view_path(tmp_path / "run", 0, ".f16").stat() == values
    view["maps"][0] |= {"files": [], "heatmap": None}
    assert view == early
    writer.add({"name": "b.png"}, PICTURE, maps)  # one that nobody saw before
    assert [line["name"] for line in pictures_of(tmp_path / "run")] == ["a.png", "b.png"]


def test_further_maps_take_the_place_of_the_first_and_no_value_moves(tmp_path):
    """Who reads with what was known before finds the same values, whatever order the maps are in by then."""
    writer = ViewWriter(tmp_path, command="c")
    first, second = relevance([[0.0, 1.0, 2.0, 3.0]] * 2), relevance([[3.0, 0.0, 0.0, 0.0]] * 2)
    writer.preview({"name": "a.png"}, PICTURE, [first])
    before = view_of(tmp_path, 0)["maps"][0]
    writer.preview({"name": "b.png"}, PICTURE, [first])
    writer.preview({"name": "a.png"}, PICTURE, [second, first])
    assert [(line["name"], line["maps"]) for line in pictures_of(tmp_path)] == [("a.png", 2), ("b.png", 1)]
    data = view_path(tmp_path, 0, ".f16").read_bytes()
    assert len(data) == 2 * before["bytes"]  # what is there already is not written again

    def read(entry):
        return np.frombuffer(data, "<f2", entry["bytes"] // 2, entry["offset"]).astype(float) * entry["unit"]

    entries = view_of(tmp_path, 0)["maps"]
    np.testing.assert_allclose(read(entries[0]), second.values.flatten(), rtol=1e-3)
    np.testing.assert_allclose(read(entries[1]), first.values.flatten(), rtol=1e-3)
    np.testing.assert_allclose(read(before), first.values.flatten(), rtol=1e-3)
    for name, maps in (("a.png", [second, first]), ("b.png", [first])):
        writer.add({"name": name}, PICTURE, maps)
    assert [line["name"] for line in pictures_of(tmp_path)] == ["a.png", "b.png"]


def test_an_item_that_fails_after_its_first_maps_has_failed(tmp_path):
    writer = ViewWriter(tmp_path, command="c")
    writer.preview({"name": "a.png"}, PICTURE, [relevance([[0.0, 1.0, 2.0, 3.0]] * 2)])
    writer.fail("a.png", "there is not enough memory for it")
    writer.add({"name": "b.png"}, PICTURE, [relevance([[1.0, 1.0, 2.0, 3.0]] * 2)])
    assert [(line["name"], line["status"], line["maps"]) for line in pictures_of(tmp_path)] == [
        ("a.png", "failed", 0),
        ("b.png", "done", 1),
    ]


def test_verdicts_are_written_when_they_are_known_and_in_the_place_of_what_stood_there(tmp_path):
    (tmp_path / "run").mkdir()
    writer = ViewWriter(tmp_path / "run", command="c")
    heatmap = relevance([[0.0, 1.0, 2.0, 3.0]] * 2)
    facts = [{"name": name, "maps": [{"label": "cat", "checking": True}]} for name in ("a.png", "b.png")]
    for one in facts:  # of a batch
        writer.preview(one, PICTURE, [heatmap])
    assert [one["checking"] for one in pictures_of(tmp_path / "run")] == [True, True]
    with pytest.raises(NotThere):  # nobody waits for the small picture
        view_path(tmp_path / "run", 1, ".thumb.jpg")
    values = view_path(tmp_path / "run", 0, ".f16").stat()
    for one in facts:
        writer.add(one, PICTURE, [heatmap])
        before = view_of(tmp_path / "run", 0)["maps"][0]
        assert (before["verdict"], before["checking"]) == (None, True) or one is facts[1]
        judged = {"label": "cat", "verdict": "doubtful", "trust": "trust: → doubtful", "judgement": {"evidence": True}}
        writer.judge({**one, "maps": [judged]})
    for index, name in enumerate(("a.png", "b.png")):
        view = view_of(tmp_path / "run", index)
        assert (view["name"], view["maps"][0]["checking"]) == (name, False)
        assert [view["maps"][0][key] for key in ("verdict", "trust")] == ["doubtful", "trust: → doubtful"]
        assert view_path(tmp_path / "run", index, ".thumb.jpg").is_file()
    assert [(one["index"], one["verdicts"]) for one in pictures_of(tmp_path / "run")] == [
        (0, ["doubtful"]),
        (1, ["doubtful"]),
    ]
    assert view_path(tmp_path / "run", 0, ".f16").stat() == values
