"""Records and sets of labelled points: what they refuse, and how sets become one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from isotherm.data.keypoints import KeypointRecord, KeypointSet, together
from isotherm.errors import InputError, OptionError, ShapeError
from isotherm.points import State

PICTURE = np.zeros((8, 10, 3), np.uint8)


def record(**changes):
    parts = {
        "picture": PICTURE,
        "points": torch.ones(2, 2),
        "state": torch.ones(2, dtype=torch.long),
        "name": "a",
        "origin": "points.json:7",
    }
    return KeypointRecord(**(parts | changes))


def test_a_picture_is_read_upright_from_its_file(tmp_path):
    Image.fromarray(PICTURE + 7).save(tmp_path / "one.png")
    assert (record(picture=tmp_path / "one.png").read() == 7).all()
    assert record().read() is PICTURE
    with pytest.raises(InputError, match=r"points\.json:7: .*missing\.png"):
        record(picture=tmp_path / "missing.png").read()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"points": torch.ones(2, 3)}, ShapeError, r"points\.json:7: points have shape \(2, 3\)"),
        ({"state": torch.ones(3, dtype=torch.long)}, ShapeError, r"expected \(n, 2\) and \(n,\)"),
        ({"points": torch.tensor([[1.0, torch.nan], [1, 1]])}, InputError, "no finite place"),
        ({"px_per_cm": 0.0}, InputError, "0.0 pixels per centimetre"),
        ({"box": (3.0, 3.0, 3.0, 8.0)}, InputError, "is empty"),
    ],
)
def test_records_that_cannot_be(changes, error, says):
    with pytest.raises(error, match=says):
        record(**changes)


def test_points_that_are_not_known_may_be_anywhere():
    record(points=torch.full((2, 2), torch.nan), state=torch.tensor([int(State.UNLABELLED), int(State.ABSENT)]))


def test_sets():
    one = KeypointSet(
        records=[record(group="north"), record(group="south")],
        names=("tip", "tail"),
        exchangeable=((0, 1),),
        lines={"length": (0, 1)},
    )
    assert one.groups == {"north": 1, "south": 1}
    assert len(one) == 2
    both = together(
        one,
        KeypointSet(
            records=[record(group="south")],
            names=one.names,
            exchangeable=one.exchangeable,
            lines=one.lines,
            skipped=("x:1: bad",),
        ),
    )
    assert both.groups == {"north": 1, "south": 2}
    assert both.skipped == ("x:1: bad",)
    assert both[2].name == "a"


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"names": ("one",)}, ShapeError, "2 points; the set has 1: one"),
        ({"exchangeable": ((0, 2),)}, OptionError, r"exchangeable names the points \(0, 2\)"),
        ({"swaps": ((0, 5),)}, OptionError, "swaps names"),
        ({"lines": {"length": (0, 9)}}, OptionError, "lines names"),
        ({"oks_sigmas": (0.1,)}, OptionError, "oks_sigmas has 1"),
    ],
)
def test_sets_that_cannot_be(changes, error, says):
    with pytest.raises(error, match=says):
        KeypointSet(**({"records": [record()], "names": ("tip", "tail")} | changes))


def test_sets_that_do_not_go_together():
    one = KeypointSet(records=[], names=("tip", "tail"))
    with pytest.raises(OptionError, match="differ in names"):
        together(one, KeypointSet(records=[], names=("tail", "tip")))
    with pytest.raises(OptionError, match="at least one"):
        together()
