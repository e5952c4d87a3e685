"""Several methods of one question: each one's maps are told of when it is done, and kept where the run is ended then."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from isotherm.api import open_model
from isotherm.errors import JobCancelled
from isotherm.jobs.explain.options import ExplainJob
from isotherm.jobs.explain.run import run
from isotherm.jobs.reporter import Reporter
from isotherm.models.choose import OpenModel
from isotherm.runs.read import read_items

METHODS = "hirescam,eigencam,occlusion"
TITLES = ["HiResCAM", "EigenCAM", "Occlusion"]


class Watching(Reporter):
    """Keeps what it was shown, and may end the job when some maps are there.

    Args:
        most: previews after which the job is cancelled; None: never.
    """

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        self.most = most
        self.previews, self.shows, self.items = [], [], []

    def preview(self, facts, picture, maps, lines=()):
        self.previews.append((facts, list(maps)))
        if len(self.previews) == self.most:
            self.cancel("cancelled")

    def shown(self, facts, picture, maps, lines=()):
        self.shows.append((facts, list(maps)))

    def item(self, facts):
        self.items.append(facts)


@pytest.fixture(scope="module")
def scenes():
    return OpenModel(open_model("scenes"), "it was open")


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "1.png"
    Image.radial_gradient("L").convert("RGB").save(path)
    return str(path)


def methods_of(maps) -> list[str]:
    return [one.meta["method"] for one in maps]


def test_each_methods_maps_come_when_it_is_done_and_are_those_of_the_end(picture, scenes, tmp_path, quick_verdicts):
    watching = Watching()
    run(ExplainJob(sources=(picture,), compare=METHODS, out=tmp_path / "out"), watching, opened=scenes)
    assert [methods_of(maps) for _, maps in watching.previews] == [TITLES[:1], TITLES[:2], TITLES]
    assert [[one.get("checking") for one in facts["maps"]] for facts, _ in watching.previews[:2]] == [
        [True],
        [True] * 2,
    ]
    ((_, final),) = watching.shows
    for _, maps in watching.previews:
        for early, late in zip(maps, final, strict=False):
            assert torch.equal(early.values, late.values)
            assert early.label == late.label
    assert [item["status"] for item in watching.items] == ["done"]


def test_one_method_is_told_of_once(picture, scenes, tmp_path):
    watching = Watching()
    run(ExplainJob(sources=(picture,), method="hirescam", trust="off", out=tmp_path / "out"), watching, opened=scenes)
    assert [methods_of(maps) for _, maps in watching.previews] == [TITLES[:1]]


def test_maps_of_methods_that_were_done_are_kept_when_the_run_is_ended(picture, scenes, tmp_path):
    watching = Watching(most=2)
    summary = run(ExplainJob(sources=(picture,), compare=METHODS, out=tmp_path / "out"), watching, opened=scenes)
    assert summary.status == "cancelled"
    (item,) = read_items(tmp_path / "out")
    assert [one["method"] for one in item["maps"]] == TITLES[:2]
    assert sum(name.endswith(".npz") for name in item["files"]) == 2
    assert not any(one.get("checking") for one in item["maps"])


def test_a_batch_that_is_ended_before_any_map_keeps_nothing(picture, scenes, tmp_path):
    watching = Watching()
    watching.cancel("cancelled")
    with pytest.raises(JobCancelled):
        watching.check()
    summary = run(ExplainJob(sources=(picture,), compare=METHODS, out=tmp_path / "out"), watching, opened=scenes)
    assert (summary.status, watching.previews, watching.items) == ("cancelled", [], [])
