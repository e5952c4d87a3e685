"""The check of an item's maps: it comes after the map and its files, can be ended, may fail, and takes no map with it."""

from __future__ import annotations

import pytest
from PIL import Image

from isotherm.api import open_model
from isotherm.data.demo_pictures import demo_picture_paths
from isotherm.explaining import ExplainOptions, explain_pictures
from isotherm.jobs.explain.check import CHECKING
from isotherm.jobs.explain.options import ExplainJob
from isotherm.jobs.explain.run import run
from isotherm.jobs.reporter import Reporter
from isotherm.models.choose import OpenModel
from isotherm.runs.read import read_items, read_run


class Watching(Reporter):
    """Keeps the order of what it is told, and what a check was asked to do meanwhile.

    Args:
        at_check: called with the reporter when a check begins.
    """

    def __init__(self, at_check=lambda reporter: None) -> None:
        self.told, self.at_check = [], at_check

    def progress(self, progress):
        if progress.stage == CHECKING:
            self.told.append(("checking", progress.text))
            self.at_check(self)

    def preview(self, facts, picture, maps, lines=()):
        self.told.append(("preview", facts["name"], [m.get("checking") for m in facts["maps"]]))

    def shown(self, facts, picture, maps, lines=()):
        self.told.append(("shown", facts["name"], [m.get("verdict") for m in facts["maps"]], bool(facts["files"])))

    def judged(self, facts):
        self.told.append(("judged", facts["name"], [m["verdict"] for m in facts["maps"] if "verdict" in m]))

    def item(self, facts):
        self.told.append(("item", facts["name"], facts["status"]))


@pytest.fixture(scope="module")
def scenes():
    return OpenModel(open_model("scenes"), "it was open")


@pytest.fixture
def pictures(tmp_path):
    paths = [tmp_path / "1.png", tmp_path / "2.png"]
    for i, path in enumerate(paths):
        Image.radial_gradient("L").rotate(90 * i).convert("RGB").save(path)
    return tuple(map(str, paths))


def test_the_map_and_its_files_come_before_the_verdict(pictures, scenes, tmp_path):
    watching = Watching()
    run(ExplainJob(sources=pictures, batch=2, top=3, out=tmp_path / "out"), watching, opened=scenes)
    # both maps of a batch are there before the first check; the fast check is about two of three
    assert watching.told[:2] == [("preview", name, [True, True, None]) for name in ("1.png", "2.png")]
    assert [one[:2] for one in watching.told[2:]] == [
        (event, name) for name in ("1.png", "2.png") for event in ("shown", "checking", "judged", "item")
    ]
    assert watching.told[2] == ("shown", "1.png", [None] * 3, True)
    assert len(watching.told[4][2]) == 2
    assert "unchecked" not in read_items(tmp_path / "out")[0]


@pytest.mark.parametrize("why", ["cancelled", "it took longer than 3 s"])
def test_a_check_that_is_ended_keeps_the_map_and_says_why(pictures, scenes, tmp_path, why):
    watching = Watching(lambda reporter: reporter.cancel(why))
    summary = run(ExplainJob(sources=pictures, out=tmp_path / "out"), watching, opened=scenes)
    assert (summary.status, summary.done) == ("cancelled", 1)
    (item,) = read_items(tmp_path / "out")
    assert (item["name"], item["unchecked"]) == ("1.png", why)
    assert [(m["verdict"], m["trust"]) for m in item["maps"]] == [("not checked", f"trust: not checked ({why})")]
    assert all((tmp_path / "out" / name).is_file() for name in item["files"])
    assert ("judged", "1.png", ["not checked"]) in watching.told
    assert f"not checked ({why})" in (tmp_path / "out" / "report.html").read_text()


def test_control_c_during_a_check_keeps_the_map(pictures, scenes, tmp_path):
    def interrupt(reporter):
        raise KeyboardInterrupt

    summary = run(ExplainJob(sources=pictures, out=tmp_path / "out"), Watching(interrupt), opened=scenes)
    assert (summary.status, summary.done) == ("interrupted", 1)
    assert read_run(tmp_path / "out")["status"] == "interrupted"
    assert read_items(tmp_path / "out")[0]["unchecked"] == "interrupted"


def test_a_check_that_is_ended_anywhere_leaves_the_model_as_it_was(scenes):
    """Its last passes are made with random weights."""
    picture = Image.open(demo_picture_paths()[0])
    options = ExplainOptions(target=lambda prediction: prediction.logits[:, 0])
    (first,) = explain_pictures(scenes, [picture], options)
    passes = []
    verdict = first.judged(lambda: passes.append(None)).trust_lines
    assert len(passes) > 2
    for most in range(len(passes)):
        left = iter(range(most))

        def pause(left=left):
            if next(left, None) is None:
                raise InterruptedError

        with pytest.raises(InterruptedError):
            first.judged(pause)
    (again,) = explain_pictures(scenes, [picture], options)
    assert again[0].values.equal(first[0].values)
    assert again.trust_lines == verdict
