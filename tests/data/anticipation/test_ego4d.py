"""Ego4D's two forms, on the clock of the video or of the clip."""

from __future__ import annotations

import json

import pytest

from isotherm.data.anticipation.ego4d import read_ego4d
from isotherm.data.anticipation.read import read_actions
from isotherm.errors import InputError

CLIP = {
    "clip_uid": "c1",
    "video_uid": "v1",
    "action_idx": 4,
    "clip_parent_start_sec": 100.0,
    "action_clip_start_sec": 3.5,
    "action_clip_end_sec": 5.0,
    "verb_label": 7,
    "noun_label": 2,
    "verb": "pull",
    "noun": "rope",
}
SHORT = {
    "uid": "s1",
    "video_id": "v1",
    "frame": 600,
    "clip_uid": "c1",
    "clip_frame": 300,
    "objects": [
        {"box": [1, 2, 3, 4], "verb_category_id": 5, "noun_category_id": 6, "time_to_contact": 0.75},
        {"box": [1, 2, 3, 4], "verb_category_id": 5, "noun_category_id": 8, "time_to_contact": 1.0},
    ],
}
INFO = {"video_metadata": {"v1": {"fps": 30.0, "frame_width": 1920, "frame_height": 1440}}}


def written(tmp_path, content):
    fpath = tmp_path / "fho.json"
    fpath.write_text(json.dumps(content, indent=1))
    return fpath


def test_long_term(tmp_path):
    fpath = written(tmp_path, {"version": "1", "clips": [CLIP]})
    table = read_actions(fpath)
    assert (table[0].video, table[0].start_s, table[0].stop_s) == ("v1", 103.5, 105.0)
    assert (table[0].name, table.label(table[0])) == ("c1_4", "pull rope")
    cut = read_ego4d(fpath, clock="clip")
    assert (cut[0].video, cut[0].start_s) == ("c1", 3.5)
    unlabelled = {k: v for k, v in CLIP.items() if not k.startswith(("verb", "noun"))}
    assert read_ego4d(written(tmp_path, {"clips": [unlabelled]}))[0].verb is None


def test_short_term(tmp_path):
    fpath = written(tmp_path, {"info": INFO, "annotations": [SHORT, {**SHORT, "uid": "s2", "objects": None}]})
    table = read_ego4d(fpath)
    assert [(a.observed_s, a.start_s, a.verb, a.noun) for a in table] == [(20.0, 20.75, 5, 6), (20.0, 21.0, 5, 8)]
    assert "1 annotations have no objects" in table.notes
    assert read_ego4d(fpath, clock="clip")[0].observed_s == 10.0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"clips": [{**CLIP, "action_clip_end_sec": 1.0}]}, "no end before the start"),
        ({"clips": [{**CLIP, "verb_label": "pull"}]}, "'verb_label' is 'pull'"),
        ({"clips": [{k: v for k, v in CLIP.items() if k != "action_idx"}]}, "there is no 'action_idx'"),
        ({"annotations": [SHORT]}, "there is no 'info'"),
        ({"info": INFO, "annotations": [{**SHORT, "video_id": "v2"}]}, "'v2' is not in 'info'"),
        ({"videos": []}, "neither 'clips'"),
        ([CLIP], "neither 'clips'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, content, words):
    with pytest.raises(InputError) as error:
        read_ego4d(written(tmp_path, content))
    assert words in str(error.value)
