"""Random sets of keypoints that annotation files can hold, for round trips."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from PIL import Image

from isotherm.data.keypoints import KeypointRecord, KeypointSet
from isotherm.points import State

NAN = float("nan")
SIZES = {"one.png": (40, 30), "day/two.png": (20, 20)}
"""(w, h) of the pictures."""


def save_pictures(dpath):
    """The pictures that the sets are of."""
    (dpath / "day").mkdir()
    for name, size in SIZES.items():
        Image.new("RGB", size).save(dpath / name)


@st.composite
def parts(draw, absent=False):
    """Plain parts of a set: states that fit their places, and a known point at least in every record."""
    unknown = [State.UNLABELLED] + [State.ABSENT] * absent
    records = []
    for _ in range(draw(st.integers(0, 4))):
        name = draw(st.sampled_from(sorted(SIZES)))
        w, h = SIZES[name]
        inside = st.tuples(st.floats(0, w, width=32), st.floats(0, h, width=32))
        outside = st.tuples(st.floats(-1000, -1, width=32), st.floats(-50, 50, width=32))
        places = []
        for k in range(3):
            state = draw(st.sampled_from([State.LABELLED, State.OCCLUDED, State.OUT_OF_FRAME] + unknown * (k > 0)))
            places.append(
                (state, (NAN, NAN) if state in unknown else draw(outside if state == State.OUT_OF_FRAME else inside))
            )
        further = {
            "box": draw(st.none() | st.just((1.5, 2.0, 9.0, 8.25))),
            "area": draw(st.none() | st.floats(0.5, 1e4)),
            "px_per_cm": draw(st.none() | st.floats(0.5, 1e4)),
            "group": draw(st.sampled_from(["", "north", 'so"uth, é'])),
        }
        records.append((name, places, further))
    relations = {
        "swaps": draw(st.sampled_from([(), ((1, 2),)])),
        "exchangeable": ((0, 1),),
        "lines": draw(st.sampled_from([{}, {"long": (2, 0)}])),
        "oks_sigmas": draw(st.sampled_from([None, (0.1, 0.2, 0.3)])),
    }
    return records, relations


def made(parts, dpath):
    """The set of such parts; built apart from drawing them, because the type checker draws random numbers of its own."""
    records, relations = parts
    return KeypointSet(
        records=[
            KeypointRecord(
                picture=dpath / name,
                points=torch.tensor([xy for _, xy in places]),
                state=torch.tensor([int(state) for state, _ in places]),
                name=str(i),
                **further,
            )
            for i, (name, places, further) in enumerate(records)
        ],
        names=("a", "left b", "right b"),
        **relations,
    )


def assert_same_records(got, expected):
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        assert a.picture == b.picture
        assert a.state.tolist() == b.state.tolist()
        # half a pixel taken away and added again in float64 leaves nothing that float32 can see, but of tiny numbers
        assert torch.allclose(a.points, b.points, rtol=0, atol=1e-12, equal_nan=True)
        assert (a.box, a.area, a.px_per_cm, a.group) == (b.box, b.area, b.px_per_cm, b.group)
