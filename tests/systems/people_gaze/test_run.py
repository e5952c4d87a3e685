"""People's gaze in a video, from frames to files: right places, right states, whole or gone on with."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch

from isotherm.data.gaze.stores import open_gaze_store
from isotherm.data.video import FrameChoice, read_frames
from isotherm.draw.boxes import PALETTE
from isotherm.errors import OptionError
from isotherm.systems.people_gaze import GivenHeads, PeopleOptions, WholePicture, predict_gaze
from rigs.gaze_lle_pointing import PointingGaze
from rigs.videos import write_clip

FRAMES = 20
"""Of a part, where the package has 64."""
COUNT = 24  # more than a part


def heads_of_two(frames=COUNT):
    """One stands at the left, the other runs to the right from frame 5 on, and nobody sees it at frame 10."""
    boxes = {}
    for i in range(frames):
        rows = [[10.0, 20, 30, 40, 0.9]]
        if i >= 5 and i != 10:
            rows.insert(0, [40.0 + 3 * i, 50, 60 + 3 * i, 70, 0.8])
        boxes[i] = np.array(rows)
    return GivenHeads(boxes)


@pytest.fixture(scope="module", autouse=True)
def small_parts():
    with pytest.MonkeyPatch.context() as patch:
        for module in ("film", "look", "people"):
            patch.setattr(f"isotherm.systems.people_gaze.{module}.FRAMES", FRAMES)
        yield


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=COUNT, rate=25, h=96, w=128)


@pytest.fixture(scope="module")
def found(video, tmp_path_factory):
    told = []
    out = tmp_path_factory.mktemp("gaze") / "out"
    torch.manual_seed(0)  # the decoder's weights are part of a run's recipe
    result = predict_gaze(PointingGaze(), video, heads_of_two(), out, command="isotherm gaze predict", say=told.append)
    return result, told


def test_each_person_has_places_and_states_through_all_frames(found):
    result, told = found
    assert [p.number for p in result.people] == [1, 2]
    assert result.frames == COUNT
    one, two = (open_gaze_store(result.dpath / f"person-0{i}.parquet") for i in (1, 2))
    times = np.arange(COUNT) / 25
    assert one.clip(times).state.tolist() == [0] * COUNT
    assert np.abs(one.clip(times).xy.numpy() - [50, 30]).max() < 0.05
    clip = two.clip(times)
    gone = 16  # from there on the place lies beyond the right border
    expected = [1] * 5 + [0] * 5 + [1] + [0] * (gone - 11) + [2] * (COUNT - gone)
    assert clip.state.tolist() == expected
    seen = np.flatnonzero(np.array(expected) == 0)
    assert np.abs(clip.xy[seen].numpy() - np.stack([50 + 3 * seen + 30, np.full(len(seen), 60)], -1)).max() < 0.1
    assert any(getattr(m, "stage", "") == "looking at frames" and m.last for m in told if not isinstance(m, str))


def test_maps_are_those_of_the_person_and_read_back_as_they_were(found):
    result, _ = found
    store = open_gaze_store(result.dpath / "person-02.zarr")
    clip = store.clip(np.array([8, 23, 2]) / 25)
    assert clip.maps.shape == (3, 64, 64)
    peak = divmod(int(clip.maps[0].argmax()), 64)
    assert np.abs(np.array([(peak[1] + 0.5) * 2, (peak[0] + 0.5) * 1.5]) - [104, 60]).max() <= 1
    assert clip.maps[2].max() == 0
    assert clip.state.tolist() == [0, 2, 1]
    with np.load(result.dpath / "parts" / "000001.npz") as part:
        assert len(part["index"]) == COUNT - FRAMES


def test_the_table_and_the_summary_say_the_same(found):
    result, _ = found
    with (result.dpath / "gaze.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == COUNT + COUNT - 6
    walking = [r for r in rows if r["person"] == "2"]
    assert walking[0]["frame"] == "5"
    assert (walking[0]["x"], walking[0]["state"], walking[0]["inside"]) == ("95.000", "tracked", "0.900")
    assert (walking[-1]["state"], walking[-1]["inside"]) == ("out_of_frame", "0.100")
    facts = json.loads((result.dpath / "people.json").read_text())
    assert facts["people"][1]["frames"] == {"tracked": 10, "missing": 6, "out_of_frame": 8}
    assert json.loads((result.dpath / "run.json").read_text())["status"] == "finished"


def test_the_film_shows_heads_and_what_they_look_at(found):
    result, _ = found
    frames = list(read_frames(result.film))
    assert len(frames) == COUNT
    picture = frames[12].array().astype(int)
    assert picture.shape == (410, 512, 3)  # four times as large as the video, and the command below

    def near(colour):
        return np.argwhere(np.abs(picture - np.array(colour)).sum(-1) < 120)[:, ::-1]

    for colour, place in ((PALETTE[0], (200, 120)), (PALETTE[1], (464, 240))):
        assert np.linalg.norm(near(colour) - place, axis=1).min() < 4


def test_a_stopped_run_goes_on_and_ends_with_the_same_files(video, found, tmp_path):
    class Stop(Exception):
        pass

    def stopping(message):
        if getattr(message, "step", 0) >= FRAMES + 2:
            raise Stop

    out, options = tmp_path / "out", PeopleOptions(film=False)
    with pytest.raises(Stop):
        predict_gaze(PointingGaze(), video, heads_of_two(), out, options=options, say=stopping)
    assert [f.name for f in (out / "parts").iterdir()] == ["000000.npz"]
    assert not (out / "gaze.csv").exists()
    told = []
    torch.manual_seed(0)
    again = predict_gaze(PointingGaze(), video, heads_of_two(), out, options=options, say=told.append)
    assert any(f"{FRAMES} frames are done already" in str(m) for m in told)
    assert (out / "gaze.csv").read_bytes() == (found[0].dpath / "gaze.csv").read_bytes()
    assert again.people[1].gaze.xy.tobytes() == found[0].people[1].gaze.xy.tobytes()
    # of those who are left out now nothing stays
    torch.manual_seed(0)
    rare = PeopleOptions(film=False, least_frames=19)
    predict_gaze(PointingGaze(), video, heads_of_two(), out, options=rare)
    assert sorted(f.name for f in out.glob("*person-*")) == ["person-01.parquet", "person-01.zarr"]


@pytest.fixture(autouse=True)
def same_weights():
    """As the run that others are compared with."""
    torch.manual_seed(0)


def test_a_folder_of_another_run_is_refused(video, found):
    with pytest.raises(OptionError, match="differ in frames"):
        predict_gaze(
            PointingGaze(), video, heads_of_two(), found[0].dpath, options=PeopleOptions(choice=FrameChoice(every=2))
        )


def test_without_heads_there_is_one_person_and_without_people_a_word(video, tmp_path):
    options = PeopleOptions(choice=FrameChoice(max_frames=3))
    whole = predict_gaze(PointingGaze(), video, WholePicture(), tmp_path / "whole", options=options)
    assert [p.gaze.state.tolist() for p in whole.people] == [[0, 0, 0]]
    assert np.abs(whole.people[0].gaze.xy - [94, 48]).max() < 0.1
    told = []
    none = predict_gaze(PointingGaze(), video, GivenHeads({}), tmp_path / "none", options=options, say=told.append)
    assert none.people == []
    assert any("no head was found" in str(m) for m in told)
    assert len(list(read_frames(none.film))) == 3


def told_of(video, heads, out, **options):
    told = []
    result = predict_gaze(
        PointingGaze(), video, heads, out, options=PeopleOptions(film=False, **options), say=told.append
    )
    return result, [str(message) for message in told if isinstance(message, str)]


def test_in_a_video_of_one_frame_a_head_is_a_person(tmp_path):
    one = write_clip(tmp_path / "one.mp4", frames=1, h=96, w=128)
    result, told = told_of(one, heads_of_two(1), tmp_path / "out")
    assert [p.gaze.state.tolist() for p in result.people] == [[0]]
    assert told == []


def test_people_who_are_left_out_are_counted(tmp_path):
    video = write_clip(tmp_path / "four.mp4", frames=4, h=96, w=128)
    boxes = {i: np.array([[10.0, 20, 30, 40, 0.9]]) for i in range(4)}
    boxes[1] = np.array([[10.0, 20, 30, 40, 0.9], [80, 50, 100, 70, 0.8]])
    result, told = told_of(video, GivenHeads(boxes), tmp_path / "out")
    assert len(result.people) == 1
    assert told == ["1 of 5 heads are of people seen in fewer than 2 frames, who are left out (--least-frames)"]


@pytest.mark.parametrize(
    ("boxes", "choice", "words"),
    [
        ({4: [10, 20, 30, 40, 1], 9: [10, 20, 30, 40, 1]}, {}, "2 frames of the boxes, from 4 on, lie behind"),
        ({0: [500, 20, 520, 40, 1]}, {}, "1 boxes lie beside the picture of 128 x 96 pixels"),
        ({}, {}, "the file of boxes holds none"),
        ({0: [10, 20, 30, 40, 1], 3: [10, 20, 30, 40, 1]}, {"max_frames": 2}, None),
        ({0: [10, 20, 30, 40, 1], 3: [10, 20, 30, 40, 1]}, {"every": 3}, None),
    ],
)
def test_boxes_that_belong_to_no_frame_are_said(tmp_path, boxes, choice, words):
    video = write_clip(tmp_path / "four.mp4", frames=4, h=96, w=128)
    heads = GivenHeads({index: np.array([box], np.float64) for index, box in boxes.items()})
    _, told = told_of(video, heads, tmp_path / "out", choice=FrameChoice(**choice), least_frames=1)
    assert any(words in line for line in told) if words else not any("boxes" in line for line in told)
