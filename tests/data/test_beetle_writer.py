"""What is written is what is read."""

from __future__ import annotations

import pytest
import torch

from isotherm.data.beetle_annotations import read_beetles
from isotherm.data.beetle_writer import write_beetles
from isotherm.data.beetles import TRAINING, BeetleConfig, beetles
from isotherm.errors import OptionError
from isotherm.metrics.point_errors import place_known


def test_a_generated_set_comes_back_from_its_files(tmp_path):
    kind = beetles(TRAINING[:6], BeetleConfig(size=(48, 48), groups=("BeetlePalooza", "Hawaii")))
    fpath = write_beetles(kind, tmp_path / "some.csv", tmp_path / "images")
    again = read_beetles(fpath, tmp_path / "images")
    assert [r.group for r in again] == [r.group for r in kind]
    for one, other in zip(kind, again, strict=True):
        assert (other.read() == one.read()).all()
        whole = place_known(one.state).view(2, 2).all(1).repeat_interleave(2)  # lines with both ends
        torch.testing.assert_close(other.points[whole], one.points[whole], atol=1e-4, rtol=0)
        assert (place_known(other.state) == whole).all()
        assert other.px_per_cm == (None if one.px_per_cm is None else pytest.approx(one.px_per_cm))
    assert any(not place_known(r.state)[:2].any() for r in again)  # BeetlePalooza has no widths


def test_other_files_are_refused(tmp_path):
    with pytest.raises(OptionError, match=r"written as \.csv"):
        write_beetles(beetles(TRAINING[:1]), tmp_path / "some.json", tmp_path)
