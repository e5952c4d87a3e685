"""The table of families: its cheapest rows are judged anew, it is in the documentation, none is wrong, and it can fail."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import timm

from rigs.breadth import wide

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
ROWS = json.loads((ROOT / "bench" / "results" / "families.json").read_text())["rows"]


@pytest.fixture
def bench(monkeypatch):
    """bench/families.py and bench/following.py."""
    monkeypatch.syspath_prepend(ROOT)
    from bench import families, following

    return families, following


def cheap():
    from bench import families_detectors, families_timm

    detectors = (*families_detectors.TRANSFORMERS, *families_detectors.CHEAP)
    return [*(f"timm {family}" for family in families_timm.CHEAP), *(f"transformers {family}" for family in detectors)]


FIRST = (
    "timm efficientnet",
    "timm deit",
    "timm ghostnet",
    "transformers detr",
    "transformers deformable_detr",
    "transformers yolos",
    "transformers pp_ocrv5_server_det",
)
"""Convolutions, tokens; findings of queries behind one grid, behind several and among tokens, and of a map of text."""


@pytest.mark.parametrize("key", [*FIRST, *wide(key for key in cheap() if key not in FIRST)])
def test_a_family_works(bench, key, monkeypatch):
    """With one texture instead of two, whose strongest cell may as well lie elsewhere."""
    families, following = bench
    monkeypatch.setattr(following, "TEXTURES", 1)
    (make,) = [make for package, family, _, make in families.cases() if f"{package} {family}" == key]
    row = families.judged(make)
    assert row["result"] == "worked", row["why"]
    assert row["layer"] == ROWS[key]["layer"]


def test_every_family_has_a_case_and_none_is_wrong(bench):
    families, _ = bench
    assert {family for package, family, *_ in families.cases() if package == "timm"} == set(timm.list_modules())
    assert set(ROWS) <= {f"{package} {family}" for package, family, *_ in families.cases()}
    assert [key for key, row in ROWS.items() if row["result"] == "wrong"] == []
    assert all(row["why"] for row in ROWS.values() if row["result"] == "refused")


def test_the_page_shows_the_table(bench):
    families, _ = bench
    assert families.tables(ROWS).strip() in families.PAGE.read_text()


@pytest.fixture(scope="module")
def right():
    """A view whose layouts are right, and how it follows."""
    from bench import families, following

    view = families._timm_view("vit_tiny_patch16_224", {}, 0)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(following, "TEXTURES", 1)
        (followed,) = following.follow(view)
    return view, followed


class Turned:
    """A view whose layouts are not right."""

    def __init__(self, view, change):
        self.view, self.change = view, change

    def __getattr__(self, name):
        return getattr(self.view, name)

    def layout(self, layer, output, inputs):
        return self.change(self.view.layout(layer, output, inputs))


class Wrong:
    """A layout whose grid is changed."""

    def __init__(self, layout, change):
        self.layout, self.change = layout, change

    def to_grid(self, output):
        return self.change(self.layout.to_grid(output))

    def frame(self, inputs, size):
        return self.layout.frame(inputs, size)


@pytest.mark.parametrize(
    ("fault", "change"),
    [
        ("transposed", lambda grid: grid.transpose(2, 3)),
        ("mirrored", lambda grid: grid.flip(3)),
        ("two rows off", lambda grid: grid.roll(2, 2)),
        ("the order of other tokens", lambda grid: grid.unflatten(2, (7, 2)).transpose(2, 3).flatten(2, 3)),
    ],
)
def test_a_wrong_layout_is_seen(bench, right, fault, change, monkeypatch):
    _, following = bench
    monkeypatch.setattr(following, "TEXTURES", 1)
    view, followed = right
    assert followed.follows
    (wrong,) = following.follow(Turned(view, lambda layout: Wrong(layout, change)))
    assert not wrong.follows, fault


def test_what_is_refused_or_astray_is_called_so(bench, monkeypatch):
    families, following = bench
    from isotherm.errors import LayerError

    def refuses(seed):
        raise LayerError("no grid")

    row = families.judged(refuses)
    assert (row["result"], row["why"], row["tries"]) == ("refused", "no grid", 1)
    monkeypatch.setattr(families, "TRIES", families.TRIES[:2])
    far = following.Followed("body", (7, 7), np.full((9, 2), 3.0), np.full(2, 0.6))
    monkeypatch.setattr(families, "follow", lambda view: [far])
    row = families.judged(lambda seed: families._timm_view("test_resnet", {}, seed))
    assert (row["result"], row["tries"], row["beyond"]) == ("wrong", 2, 2.4)
