"""``isotherm gaze predict``: the job, its options and its messages."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from isotherm.cli import main
from isotherm.errors import AdapterError, OptionError, WeightsError
from isotherm.jobs.predict.gaze import run
from isotherm.jobs.predict.gaze_options import Model, PredictGazeJob
from isotherm.jobs.reporter import Reporter
from isotherm.models.gaze_lle import GAZE_LLE_NAMES
from rigs.gaze_lle_pointing import PointingGaze
from rigs.videos import write_clip


@pytest.fixture
def video(tmp_path):
    return write_clip(tmp_path / "clip.mp4", frames=4)


def test_the_options_know_the_published_models():
    assert set(get_args(Model)) == set(GAZE_LLE_NAMES)


def test_the_job_reads_boxes_and_writes_everything(video, tmp_path):
    (tmp_path / "heads.csv").write_text("frame,x0,y0,x1,y1\n" + "".join(f"{i},4,4,14,14\n" for i in range(4)))
    options = PredictGazeJob(video=video, heads=str(tmp_path / "heads.csv"), out=tmp_path / "out")
    result = run(options, opened=PointingGaze())
    names = {f.name for f in (tmp_path / "out").iterdir() if not f.name.startswith(".")}
    assert names == {
        "parts",
        "person-01.parquet",
        "person-01.zarr",
        "gaze.csv",
        "gaze.mp4",
        "people.json",
        "recipe.json",
        "run.json",
    }
    assert len(result.people) == 1


def test_other_boxes_in_a_file_of_the_same_name_are_another_run(video, tmp_path):
    heads = tmp_path / "heads.csv"
    heads.write_text("frame,x0,y0,x1,y1\n0,4,4,14,14\n")
    options = PredictGazeJob(video=video, heads=str(heads), out=tmp_path / "out", film=False)
    torch.manual_seed(0)
    model = PointingGaze()
    run(options, opened=model)
    run(options, opened=model)
    heads.write_text("frame,x0,y0,x1,y1\n0,24,4,44,14\n")
    with pytest.raises(OptionError, match="differ in heads"):
        run(options, opened=model)


def test_without_heads_an_alarm_says_what_is_done(video, tmp_path):
    told = []

    class Listening(Reporter):
        def message(self, text, kind="note"):
            told.append((kind, text))

    run(PredictGazeJob(video=video, out=tmp_path / "out", film=False), Listening(), opened=PointingGaze())
    assert told[0][0] == "alarm"
    assert "as if one person were in the picture" in told[0][1]


def test_a_detector_of_things_is_no_detector_of_heads(video, tmp_path):
    with pytest.raises(AdapterError, match="has no class head or face"):
        run(PredictGazeJob(video=video, heads="detector", out=tmp_path / "out"), opened=PointingGaze())


def test_without_weights_the_message_says_where_to_get_them(video, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(
        torch.hub, "download_url_to_file", lambda *_, **__: (_ for _ in ()).throw(OSError("no network"))
    )
    with pytest.raises(WeightsError, match=r"gazelle_dinov2_vitl14_inout cannot be fetched \(no network\)"):
        run(PredictGazeJob(video=video, out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_command_runs_with_random_weights_where_it_is_asked_to(video, tmp_path, capsys):
    """Through the real DINOv2 of transformers, with one layer."""
    from transformers import Dinov2Config

    Dinov2Config(hidden_size=768, num_hidden_layers=1, num_attention_heads=12, image_size=70).save_pretrained(
        tmp_path / "dino"
    )
    words = ["gaze", "predict", str(video), "--model", "gazelle_dinov2_vitb14_inout", "--weights", "none"]
    code = main(
        [*words, "--backbone", str(tmp_path / "dino"), "--every", "2", "--out", str(tmp_path / "out"), "--quiet"]
    )
    printed = capsys.readouterr()
    assert code == 0, printed.err
    assert "the weights are random" in printed.out
    assert "2 frames, 1 people" in printed.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threshold": 2.0}, "expected a likelihood from 0 to 1"),
        ({"every": 0}, "--every 0"),
        ({"start_s": 2.0, "end_s": 1.0}, "more seconds than --start-s"),
        ({"head_names": "head,,face"}, "--head-names"),
    ],
)
def test_options_out_of_range_are_refused(tmp_path, options, words):
    with pytest.raises(OptionError, match=words):
        PredictGazeJob(video=tmp_path / "a.mp4", out=tmp_path, **options)
