"""The curve of earlier answers: the same actions at every time, from clips that end when they should."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from isotherm.errors import OptionError
from isotherm.gaze.model import AnticipationModel
from isotherm.train.anticipation.earlier import anticipation_curve
from isotherm.train.anticipation.read import read_clips
from isotherm.train.anticipation.source import ClipsChoice
from isotherm.train.recipe import from_plain
from rigs.action_videos import plain_videos, write_actions, write_videos


class Near(AnticipationModel):
    """Is right where a clip ends less than a second before its action, and notes what it is asked."""

    fusion, probes = None, (None,)

    def __init__(self, data):
        nn.Module.__init__(self)
        self.labels, self.asked = data.labels, []

    def forward(self, video, gaze, *, ahead_s):
        self.asked += ahead_s.tolist()
        right = torch.nn.functional.one_hot(self.labels[-len(ahead_s) :, 2], 3).float()
        answer = torch.where((ahead_s < 1)[:, None], right, -right)
        return {name: answer[:, : 3 if name == "action" else 2] for name in ("verb", "noun", "action")}


def test_every_point_is_of_the_same_actions(tmp_path):
    write_videos(tmp_path, ("P01_01",))
    write_actions(tmp_path, ("P01_01",))
    data, _ = read_clips(from_plain(ClipsChoice, plain_videos(tmp_path)), root=tmp_path)
    model = Near(data)
    curve = anticipation_curve([model, model], data, (0.25, 1.5))
    # the first action begins at 1.2 s, so it has no clip that ends 1.5 s before
    assert [len(answers[0].labels) for answers in curve.answers] == [2, 2]
    assert model.asked == pytest.approx([0.25] * 4 + [1.5] * 4)
    assert [point.mean for point in curve.accuracy] == [1.0, 0.0]
    assert curve.recall(k=1) == [1.0, 0.0]
    assert "0.25 s before: action accuracy 100.0" in curve.rows(k=1)[0]
    assert len(data) == 3
    with pytest.raises(OptionError, match="begins 9 s after"):
        anticipation_curve([model], data, (9.0,))
    legacy = plain_videos(tmp_path, plan={"frames": 4, "rate_hz": 4.0, "protocol": "legacy"})
    with pytest.raises(OptionError, match="nothing is anticipated"):
        anticipation_curve([model], read_clips(from_plain(ClipsChoice, legacy), root=tmp_path)[0])
