"""The demo's clip: what the shipped anticipation model predicts with the person's gaze, with that of another clip, and
without any; and which moments speak for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from rich.table import Table

from isotherm.api import explain
from isotherm.cam.clips import Clip
from isotherm.data.egocentric.clips import EgocentricClip, make_many
from isotherm.data.egocentric.config import HELD_OUT, EgocentricConfig
from isotherm.data.gaze.points_store import write_points
from isotherm.data.gaze.stores import open_gaze_store
from isotherm.data.video_writer import VideoWriter
from isotherm.draw import ReportEntry, save_animation
from isotherm.draw.gaze_panels import GazePanel, gaze_panels
from isotherm.gaze.clips import gaze_of_egocentric
from isotherm.gaze.film import gaze_track
from isotherm.gaze.view import compared_with_gaze
from isotherm.jobs.explain.moments import entries_of_moments
from isotherm.runs.record import Run
from isotherm.train.anticipation.build import normalised, open_anticipation
from isotherm.zoo.assets import asset
from isotherm.zoo.tiny_anticipation.view import SHIPPED, AnticipationView

CLIP, OTHER = HELD_OUT[0], HELD_OUT[4]
"""Of which the gaze decides what happens, and whose gaze is shown in its place."""
SIDE = 256
SHOWN = 3
"""Likeliest actions below each panel."""


def anticipate_with_gaze(record: Run) -> tuple[Table, list[ReportEntry], str]:
    """A table, the report's entries and the model's name; the clip, its gaze and an animation are written into the run.

    Raises:
        MissingExtraError: a package that videos or the model need is not installed.
    """
    name, gaze_name = "clip.mp4", "clip-gaze.parquet"
    clips = make_many([CLIP, OTHER], EgocentricConfig(side=SIDE))
    large, other = clips[0], clips[1]
    with VideoWriter(record.fpath(name, ".mp4")) as video:
        for frame, time_s in zip(large.video.transpose(0, 2, 3, 1), large.time_s, strict=True):
            video.add(np.ascontiguousarray(frame), float(time_s))
    write_points(large.recording(), record.fpath(gaze_name, ".parquet"), video=name)
    panels = panels_of(large, other)
    command = f"isotherm explain {name} --model tiny-anticipation --gaze {gaze_name}"
    frames = gaze_panels(
        list(large.video.transpose(0, 2, 3, 1)), panels, large.time_s, right=large.label, title="What happens next?"
    )
    animation = record.fpath("clip-gaze-panels.mp4", ".mp4")
    save_animation((np.asarray(frame) for frame in frames), animation, fps=4, command="isotherm demo", side=1280)
    view = AnticipationView(
        open_anticipation(asset(SHIPPED)), gaze=open_gaze_store(record.dpath / gaze_name), name="tiny-anticipation"
    )
    clip = Clip(
        np.ascontiguousarray(large.video.transpose(0, 2, 3, 1)),
        (*large.time_s, 2 * large.time_s[-1] - large.time_s[-2]),
    )
    explanation = replace(explain(view, clip, name=name), name=name)
    compared = compared_with_gaze(view, clip, explanation[0])
    verdict = "" if compared is None else compared.verdict
    table = Table(title=f"tiny-anticipation: what happens next in a clip (truth: {large.label})", box=None)
    for column in ("gaze", "predicted", "probability", "of the truth"):
        table.add_column(column)
    for panel in panels:
        truth = dict(panel.predictions).get(large.label, 0.0)
        table.add_row(panel.title, panel.predictions[0][0], f"{panel.predictions[0][1]:.0%}", f"{truth:.0%}")
    record.done(name, truth=large.label, predictions={p.title: dict(p.predictions) for p in panels}, gaze=verdict)
    entries = list(entries_of_moments(explanation, name, command))
    return table, [replace(entries[0], lines=[verdict]), *entries[1:]], view.name


def panels_of(clip: EgocentricClip, other: EgocentricClip) -> Sequence[GazePanel]:
    """Of the same pictures: the person's gaze, another clip's, none; each with the likeliest actions."""
    trained = open_anticipation(asset(SHIPPED))
    small = make_many([CLIP, OTHER])
    gaze = gaze_of_egocentric(small)
    video = normalised(torch.from_numpy(small.video[:1]), torch.device("cpu"))
    gone = torch.ones(1, gaze.frames, dtype=torch.bool)
    shown = {
        "the person's gaze": (gaze.clips([0]), gaze_track(clip.recording())),
        "the gaze of another clip": (gaze.clips([1]), gaze_track(other.recording())),
        "no gaze": (gaze.clips([0]).where_missing(gone), None),
    }
    panels = []
    for title, (known, track) in shown.items():
        with torch.no_grad():
            shares = trained.model(video, known)["action"][0].softmax(0)
        best = shares.topk(SHOWN)
        words = trained.classes["action"]
        panels.append(
            GazePanel(title, track, [(words[i], float(p)) for p, i in zip(best.values, best.indices, strict=True)])
        )
    return panels
