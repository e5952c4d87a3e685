"""Arms are compared on the same clips with the same seeds, and what was trained is not trained again."""

from __future__ import annotations

import json

import pytest
import torch

from isotherm.data.egocentric.config import EgocentricConfig
from isotherm.errors import InputError, OptionError
from isotherm.train.anticipation.ablation import (
    ABLATION,
    CACHE,
    ArmResult,
    difference,
    run_ablation,
    table_rows,
    write_ablation,
)
from isotherm.train.anticipation.build import open_anticipation
from isotherm.train.anticipation.gaze_use import GazeUse
from isotherm.train.anticipation.generated import GeneratedClips
from isotherm.train.anticipation.run import BEST
from isotherm.train.anticipation.source import ClipSource
from isotherm.train.anticipation.validate import answers_of
from rigs.action_videos import plain_videos, write_actions, write_videos
from rigs.anticipation import plain_anticipation


def result(right, arm="real"):
    return ArmResult(
        arm, "real", torch.tensor(right, dtype=torch.float64), torch.tensor([0, 0, 1, 1]), ("gaze", "video")
    )


def test_a_difference_is_taken_clip_by_clip():
    a, b = result([[1, 1], [1, 1], [0, 0], [1, 1]]), result([[0, 0], [0, 0], [0, 0], [1, 1]])
    assert a.seeds() == [0.75, 0.75]
    assert a.accuracy("gaze").mean == 1.0
    assert difference(a, b, "video").mean == 0.0
    assert not difference(a, b, "video").known  # of two clips, which happen to be alike
    assert difference(a, b, "gaze").mean == 1.0
    assert a.accuracy("gaze").per_cent() == "100.0"
    many = ArmResult("real", "real", torch.ones(40, 3, dtype=torch.float64), torch.zeros(40), ("gaze",))
    assert many.accuracy().per_cent() == "100.0 [91.2, 100.0]"  # 0.025 ** (1 / 40) = 0.912: no bootstrap of width 0


def test_figures_without_an_interval_are_null(tmp_path):
    few = ArmResult("real", "real", torch.tensor([[1.0], [0.0]]).double(), torch.zeros(2), ("gaze",))
    write_ablation([few], [0], tmp_path / ABLATION)
    (row,) = json.loads((tmp_path / ABLATION).read_text())["rows"]
    assert row["all"] == {"mean": 0.5, "low": None, "high": None, "seeds": [0.5]}


def test_unpaired_intervals_say_less():
    a, b = result([[1, 1], [1, 1], [0, 0], [1, 1]]), result([[0, 0], [0, 0], [0, 0], [1, 1]])
    # the unpaired intervals overlap though no clip ever spoke for the other arm
    assert difference(a, b).low >= 0


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    dpath = tmp_path_factory.mktemp("ablation")
    plain = plain_anticipation(steps=2)
    lines = []
    results = run_ablation(plain, ("none", "shuffled"), (0, 1), dpath, root=dpath, say=lambda m: lines.append(str(m)))
    return dpath, plain, results, lines


def test_every_arm_is_judged_under_its_own_condition_and_the_others(ended):
    dpath, _, results, lines = ended
    assert [(r.arm, r.condition) for r in results[:2]] == [("none", "real"), ("shuffled", "shuffled")]
    assert {r.condition for r in results if r.arm == "shuffled"} == {"real", "missing", "shuffled", "shifted", "centre"}
    assert all(r.right.shape == (12, 2) for r in results)
    kept = json.loads((dpath / ABLATION).read_text())
    assert kept["rows"][0]["all"]["seeds"] == results[0].seeds()
    heads, rows = table_rows(results)
    assert heads[:3] == ["arm", "gaze when judged", "all"]
    assert len(rows) == len(results)
    assert any("flatters them" in line for line in lines)


def test_the_same_ablation_goes_on_with_what_there_is(ended):
    dpath, plain, results, _ = ended
    before = {f: f.stat().st_mtime_ns for f in dpath.rglob("checkpoint.pt")}
    again = run_ablation(plain, ("none", "shuffled", "real"), (0, 1), dpath, root=dpath)
    assert {f: f.stat().st_mtime_ns for f in before} == before
    assert len(list(dpath.rglob("checkpoint.pt"))) == 6
    assert torch.equal(again[0].right, results[0].right)


def test_arms_and_seeds_are_given_once(tmp_path):
    with pytest.raises(OptionError, match="each once"):
        run_ablation(plain_anticipation(), ("real", "real"), (0,), tmp_path, root=tmp_path)


@pytest.mark.parametrize("value", ["nowhere", "nowhere/{video}.parquet", "gaze.csv"])
def test_gaze_from_nowhere_is_no_arm_without_gaze(tmp_path, value):
    (tmp_path / "gaze.csv").touch()
    plain = plain_anticipation(steps=2)
    plain["data"] = {part: [{"file": f"{part}.csv", "videos": ".", "gaze": "gaze"}] for part in ("train", "validation")}
    with pytest.raises(InputError, match="which is no folder; expected one with a recording for each video"):
        run_ablation(plain, ("real", f"source:{value}"), (0,), tmp_path / "out", root=tmp_path)
    assert not (tmp_path / "out").exists()
    (tmp_path / "other").mkdir()  # there; the table is not, which is the next to be said
    with pytest.raises(InputError, match=r"train\.csv"):
        run_ablation(plain, ("source:other/{video}.npz",), (0,), tmp_path / "out", root=tmp_path)


def test_a_single_clip_that_is_left_gets_the_gaze_of_another(ended):
    """Behind whole batches; it stopped an ablation when all of it was trained."""
    dpath = ended[0]
    trained = open_anticipation(dpath / "shuffled" / "seed-0" / BEST)
    data = GeneratedClips([ClipSource(format="generated", count=9, clips=EgocentricConfig(side=16))])
    for condition in ("real", "shuffled"):
        ways = [answers_of(trained.model, data, GazeUse(condition=condition), batch=batch) for batch in (8, 9)]
        for name, values in ways[0].logits.items():
            assert values.shape[1] == 9
            torch.testing.assert_close(values, ways[1].logits[name])


def test_arms_share_what_is_computed_once(tmp_path):
    write_actions(tmp_path)
    write_videos(tmp_path)
    data = plain_videos(tmp_path, memory_mb=0.0)
    data["validation"] = data["train"]
    plain = plain_anticipation(steps=3, batch=6) | {"data": data}
    run_ablation(plain, ("none", "real"), (0,), tmp_path / "out", root=tmp_path)
    assert len(list((tmp_path / "out" / CACHE / "frames").glob("*.npy"))) <= 6  # a file for each action, of both arms
    assert [str(d.relative_to(tmp_path / "out")) for d in tmp_path.rglob(CACHE)] == [CACHE]
