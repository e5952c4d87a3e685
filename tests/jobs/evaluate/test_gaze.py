"""``isotherm eval gaze``: maps of every kind of store against recordings and maps; figures, rows, pictures, refusals."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch

from isotherm import Frame, Heatmap
from isotherm.cli import main
from isotherm.data.gaze import GazeRecording
from isotherm.data.gaze.points_store import write_points
from isotherm.data.gaze.states import GazeState
from isotherm.data.gaze.store import MapOptions
from isotherm.data.gaze.zarr_store import ZarrWriter
from isotherm.errors import InputError, KindError, OptionError
from isotherm.jobs.evaluate.gaze import figures_of, run
from isotherm.jobs.evaluate.gaze_clips import named_stores, pairs_of, read_clip
from isotherm.jobs.evaluate.gaze_options import EvalGazeJob
from isotherm.jobs.evaluate.gaze_pages import extremes
from isotherm.metrics.saliency import NAMES, auc_shuffled
from isotherm.moments import Moments
from rigs.gaze import RATE, SIZE, TIMES, maps_of, wandering
from rigs.videos import write_clip

CELLS = (24, 32)


def moved(by: float) -> GazeRecording:
    """The wandering gaze, some pixels to the right."""
    recording = wandering()
    return GazeRecording.of(recording.time_s, recording.xy + np.array([by, 0.0]), size=SIZE)


def write_zarr(path, recording, times=TIMES):
    samples = recording.at(times, window_s=0.01)
    writer = ZarrWriter(path, times, CELLS, header={"size": list(SIZE), "video": "", "notes": []})
    writer.write_maps(0, maps_of(recording, CELLS, times))
    writer.write_known(samples.state, samples.xy, samples.confidence)
    writer.finish()
    return path


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Truth of three clips, at three places; maps that follow it, and one of them that has the middle alone."""
    root = tmp_path_factory.mktemp("gaze")
    (root / "truth").mkdir()
    (root / "predicted").mkdir()
    for name, by in (("a", 0.0), ("b", -25.0), ("c", 10.0)):
        write_points(moved(by), root / "truth" / f"{name}.parquet")
        write_zarr(root / "predicted" / f"{name}.zarr", moved(by + 3))
    return root


def judged(folders, tmp_path, **changes):
    options = {"predicted": folders / "predicted", "truth": folders / "truth", "out": tmp_path / "out", **changes}
    return run(EvalGazeJob(**options))


@pytest.fixture(scope="module")
def of_zarr(folders, tmp_path_factory):
    """The figures of the three clips, whose maps are in Zarr."""
    return judged(folders, tmp_path_factory.mktemp("of_zarr"), extremes=0)


def test_maps_that_follow_gaze_are_told_from_the_middle_and_everything_is_written(folders, tmp_path):
    found = judged(folders, tmp_path)
    predicted, middle = (row.figures for row in found.figures.rows)
    assert list(predicted) == [*NAMES, "covered"]
    for name in NAMES:
        better = predicted[name].mean - middle[name].mean
        assert (better < 0) if name == "KL" else (better > 0)
        assert predicted[name].n == 3
        assert predicted[name].low <= predicted[name].mean <= predicted[name].high
    assert predicted["AUC-Judd"].mean > 0.95
    assert predicted["sAUC"].mean > 0.9
    assert 0.9 < predicted["covered"].mean <= 1
    out = tmp_path / "out"
    assert {f.name for f in out.iterdir()} >= {
        "evaluation.json",
        "moments.csv",
        "report.html",
        "extremes.jpg",
        "run.json",
    }
    facts = json.loads((out / "evaluation.json").read_text())
    assert facts["figures"]["groups"]["predicted"]["NSS"]["mean"] == pytest.approx(predicted["NSS"].mean)
    with (out / "moments.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * len(TIMES)
    own = [float(r["NSS"]) for r in rows if r["clip"] == "a" and r["NSS"]]
    assert np.mean(own) == pytest.approx(float(found.clips["a"]["NSS"].nanmean()), abs=1e-5)
    blink = next(r for r in rows if r["clip"] == "a" and abs(float(r["time_s"]) - 10 / RATE) < 1e-6)
    assert (blink["fixations"], blink["NSS"]) == ("0", "")
    assert any("have no tracked gaze and are left out" in note for note in found.notes)


def old_npz(path, recording):
    np.savez_compressed(path, maps=maps_of(recording, CELLS), time_s=TIMES)


def old_npy(path, recording):
    np.save(path, maps_of(recording, CELLS))


def frames(path, recording):
    path.mkdir()
    for i, values in enumerate(maps_of(recording, CELLS)):
        np.save(path / f"frame_{i:06d}.npy", values)


def saved(path, recording, times=TIMES):
    spans = tuple((t - 0.5 / RATE, t + 0.5 / RATE) for t in times.tolist())
    moments = Moments(tuple((float(i), i + 1.0) for i in range(len(times))), tuple(range(len(times))), spans)
    values = torch.from_numpy(maps_of(recording, CELLS, times)).float()
    Heatmap(values, Frame.resize(SIZE, CELLS), "relevance", moments=moments).save(path)


@pytest.mark.parametrize(
    ("name", "write", "options"),
    [
        ("a.zarr", write_zarr, {}),
        ("a.npz", old_npz, {}),
        ("a.npy", old_npy, {"rate": RATE}),
        ("a", frames, {"rate": RATE}),
        ("a.npz", saved, {}),
        ("a.safetensors", saved, {}),
    ],
    ids=["zarr", "npz", "npy", "frames", "heatmap npz", "heatmap safetensors"],
)
def test_every_kind_of_maps_gives_the_same_figures(folders, of_zarr, tmp_path, name, write, options):
    write(tmp_path / name, moved(3.0))
    found = run(
        EvalGazeJob(
            predicted=tmp_path / name,
            truth=folders / "truth" / "a.parquet",
            out=tmp_path / "out",
            extremes=0,
            **options,
        )
    )
    for figure in ("AUC-Judd", "NSS", "KL", "CC", "SIM"):
        ours = next(iter(found.clips.values()))[figure]
        both = ours.isfinite() & of_zarr.clips["a"][figure].isfinite()
        assert int(both.sum()) > 70
        # bytes cost up to 1 / 510 of the peak
        torch.testing.assert_close(ours[both], of_zarr.clips["a"][figure][both], atol=0.03, rtol=0.02)
    assert any("there is one clip" in note for note in found.notes)


def test_predicted_points_and_true_maps_are_taken_as_well(folders, tmp_path):
    write_points(moved(3.0), tmp_path / "points.parquet")
    found = run(
        EvalGazeJob(
            predicted=tmp_path / "points.parquet",
            truth=folders / "predicted" / "a.zarr",
            out=tmp_path / "out",
            sigma_px=10.0,
            extremes=1,
        )
    )
    figures = found.figures.rows[0].figures
    assert figures["NSS"].mean > 3
    assert figures["SIM"].mean > 0.95  # the same Gaussians at the same places
    assert any("the peak of its map" in note for note in found.notes)


def test_a_prediction_that_is_missing_is_counted_and_not_left_out_without_a_word(folders, tmp_path):
    recording = moved(3.0)
    gone = recording.xy.copy()
    gone[:40] = np.nan
    write_zarr(tmp_path / "a.zarr", GazeRecording.of(recording.time_s, gone, size=SIZE))
    found = run(
        EvalGazeJob(
            predicted=tmp_path / "a.zarr", truth=folders / "truth" / "a.parquet", out=tmp_path / "out", extremes=0
        )
    )
    assert found.figures.rows[0].figures["covered"].mean == pytest.approx(0.5, abs=0.06)
    assert found.clips["a"]["AUC-Judd"][:40].isnan().all()  # which is 0.5 of a map of zeros


def test_maps_of_a_part_of_the_truth_cover_a_part(folders, tmp_path):
    truth = folders / "truth" / "a.parquet"
    saved(tmp_path / "one.npz", moved(3.0), TIMES[30:31])
    found = run(EvalGazeJob(predicted=tmp_path / "one.npz", truth=truth, out=tmp_path / "out", extremes=0))
    figures = found.figures.rows[0].figures
    assert not figures["NSS"].known
    tracked = int((moved(0.0).state == 0).sum())
    assert figures["covered"].mean == pytest.approx(1 / tracked)
    assert found.figures.rows[1].figures["covered"].mean == pytest.approx(1 / tracked)
    assert any("are of 1 % of the moments of the truth" in note for note in found.notes)
    assert any("no intervals, which need three" in note for note in found.notes)
    # at half the truth's rate the maps still are of all of it, and with a gap of none of the gap
    half = write_zarr(tmp_path / "half.zarr", moved(3.0), TIMES[::2])
    found = run(EvalGazeJob(predicted=half, truth=truth, out=tmp_path / "out2", extremes=0))
    assert found.figures.rows[0].figures["covered"].mean > 0.9
    gap = write_zarr(tmp_path / "gap.zarr", moved(3.0), np.concatenate([TIMES[:20], TIMES[60:]]))
    found = run(EvalGazeJob(predicted=gap, truth=truth, out=tmp_path / "out3", extremes=0))
    assert 0.4 < found.figures.rows[0].figures["covered"].mean < 0.6


def test_two_clips_have_no_intervals(folders, tmp_path):
    for side in ("truth", "predicted"):
        (tmp_path / side).mkdir()
        for name in "ab":
            (fpath,) = (folders / side).glob(f"{name}.*")
            (tmp_path / side / fpath.name).symlink_to(fpath)
    found = run(
        EvalGazeJob(predicted=tmp_path / "predicted", truth=tmp_path / "truth", out=tmp_path / "out", extremes=0)
    )
    assert "there are two clips: no intervals, which need three" in found.notes
    assert "[" not in found.table()


def test_extremes_show_the_video_and_are_the_best_and_the_worst(folders, tmp_path):
    (tmp_path / "videos").mkdir()
    for name in "abc":
        write_clip(tmp_path / "videos" / f"{name}.mp4", frames=5, h=96, w=128)
    found = judged(folders, tmp_path, videos=tmp_path / "videos", extremes=2, most=20)
    clip = read_clip(
        "a",
        folders / "predicted" / "a.zarr",
        folders / "truth" / "a.parquet",
        MapOptions(),
        cells=64,
        most=20,
        sigma_px=None,
    )
    assert len(clip.time_s) == 20
    values = found.clips["a"]["KL"]
    chosen = extremes([clip], found.clips, by="KL", count=2)
    assert [m.which for m in chosen] == ["best", "best", "worst", "worst"]
    assert chosen[0].value == values.nan_to_num(nan=np.inf).min().item()
    assert chosen[2].value == values.nan_to_num(nan=-np.inf).max().item()
    (tmp_path / "videos" / "b.mp4").unlink()
    with pytest.raises(InputError, match="there is no video of b"):
        judged(folders, tmp_path / "again", videos=tmp_path / "videos")


def test_the_shuffled_auc_is_against_the_fixations_of_all_other_clips_and_none_of_its_own(folders):
    def opened(name):
        stores = folders / "predicted" / f"{name}.zarr", folders / "truth" / f"{name}.parquet"
        return read_clip(name, *stores, MapOptions(), cells=64, most=500, sigma_px=None)

    clips = [opened(name) for name in "abc"]
    model, _ = figures_of(clips)
    most = max(clip.cells.shape[1] for clip in clips)
    cells = [torch.nn.functional.pad(c.cells, (0, 0, 0, most - c.cells.shape[1]), value=torch.nan) for c in clips]
    group = [clip.name for clip in clips for _ in clip.time_s]
    expected = auc_shuffled(torch.cat([clip.maps for clip in clips]), torch.cat(cells), group=group)
    found = torch.cat([model[clip.name]["sAUC"] for clip in clips])
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0, equal_nan=True)


def test_the_times_of_old_maps_are_those_of_the_videos_frames(folders, tmp_path):
    old_npy(tmp_path / "a.npy", moved(3.0))
    (tmp_path / "videos").mkdir()
    write_clip(tmp_path / "videos" / "a.mp4", frames=len(TIMES), rate=int(RATE), h=SIZE[0], w=SIZE[1])
    options = {"predicted": tmp_path / "a.npy", "truth": folders / "truth" / "a.parquet", "extremes": 0}
    by_rate = run(EvalGazeJob(**options, rate=RATE, out=tmp_path / "1"))
    by_video = run(EvalGazeJob(**options, videos=tmp_path / "videos", out=tmp_path / "2"))
    torch.testing.assert_close(by_video.clips["a"]["NSS"], by_rate.clips["a"]["NSS"], equal_nan=True)
    with pytest.raises(InputError, match=r"does not say when its maps were.*--rate"):
        run(EvalGazeJob(**options, out=tmp_path / "3"))


def test_the_command_prints_the_table(folders, tmp_path, capsys):
    words = [
        "eval",
        "gaze",
        str(folders / "predicted"),
        str(folders / "truth"),
        "--out",
        str(tmp_path / "out"),
        "--quiet",
    ]
    assert main([*words, "--extremes", "1", "--most", "10"]) == 0
    printed = capsys.readouterr().out
    assert "predicted (n=3)" in printed
    assert "AUC-Judd" in printed
    assert main(["eval", "gaze", str(tmp_path / "nowhere"), str(folders / "truth")]) == 2
    assert "there is no gaze at" in capsys.readouterr().err


def test_what_cannot_be_compared_is_refused(folders, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no store of gaze"):
        named_stores(tmp_path / "empty")
    (tmp_path / "other").mkdir()
    write_points(wandering(), tmp_path / "other" / "x.parquet")
    with pytest.raises(InputError, match="no clip is in both"):
        pairs_of(tmp_path / "other", folders / "truth")
    late = GazeRecording.of(TIMES + 100, wandering().xy, size=SIZE)
    write_points(late, tmp_path / "late.parquet")
    with pytest.raises(InputError, match="no moment in common"):
        run(
            EvalGazeJob(predicted=folders / "predicted" / "a.zarr", truth=tmp_path / "late.parquet", out=tmp_path / "1")
        )
    write_points(GazeRecording.of(TIMES, wandering().xy, size=(192, 256)), tmp_path / "large.parquet")
    with pytest.raises(InputError, match="of a video of 128 x 96 pixels and the truth of one of 256 x 192"):
        run(
            EvalGazeJob(
                predicted=folders / "predicted" / "a.zarr", truth=tmp_path / "large.parquet", out=tmp_path / "2"
            )
        )
    blind = GazeRecording.of(TIMES, np.full((len(TIMES), 2), np.nan), size=SIZE)
    assert (blind.state == GazeState.MISSING).all()
    write_points(blind, tmp_path / "blind.parquet")
    with pytest.raises(InputError, match="nobody looked at anything"):
        run(
            EvalGazeJob(
                predicted=folders / "predicted" / "a.zarr", truth=tmp_path / "blind.parquet", out=tmp_path / "3"
            )
        )
    logits = Heatmap(torch.zeros(2, 4, 4), Frame.resize(SIZE, (4, 4)), "logits")
    logits.save(tmp_path / "logits.npz")
    with pytest.raises(KindError, match="holds logits"):
        run(EvalGazeJob(predicted=tmp_path / "logits.npz", truth=folders / "truth" / "a.parquet", out=tmp_path / "4"))
    for options, words in (
        ({"size": "9"}, "--size 9"),
        ({"sigma_px": 0.0}, "--sigma-px"),
        ({"first_frame": 3}, "--first-frame 3"),
    ):
        with pytest.raises(OptionError, match=words):
            EvalGazeJob(predicted=tmp_path, truth=tmp_path, **options)
