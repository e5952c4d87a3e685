"""Texts: places, counts, addresses, options and settings."""

from __future__ import annotations

import json

from bench.fuzz.reader import Reader, texts
from isotherm.data.anticipation.classes import Classes
from isotherm.data.fetch import is_public, split_url
from isotherm.data.sources import expand
from isotherm.jobs.count.options import CountJob
from isotherm.jobs.explain.like import parse_like
from isotherm.jobs.explain.options import ExplainJob
from isotherm.jobs.options import box_of, parse_size, split
from isotherm.models.weights.importing import is_import
from isotherm.targets.annotation import parse_annotation
from isotherm.targets.vlm_text import parse_molmo, parse_paligemma, parse_qwen, parse_robopoint
from isotherm.train.keypoint_recipe import with_settings
from isotherm.vlm.numbers import read_count

SIZE = (100, 200)
CLASSES = '{"format": "isotherm.action_classes/1", "verbs": [[0, "take"], [3, null]], "nouns": [[8, "cup"]], "actions": [[0, 8], [3, 8]]}'


def _addresses(text: str) -> None:
    is_public(text)
    split_url(text)


READERS = (
    Reader(
        name="points in a text",
        sources=("targets/annotation.py",),
        form="text",
        call=lambda text: parse_annotation(text, "grasp_point", normalised=True, size=SIZE),
        seeds=texts("[0.5, 0.5]", "[[0.1, 0.2], (0.3, 1e-1,)]"),
    ),
    Reader(
        name="boxes in a text",
        sources=("targets/annotation.py",),
        form="text",
        call=lambda text: parse_annotation(text, "detection_2", normalised=False, size=SIZE),
        seeds=texts("[(100, 50, 20, 10)]", "[[1, 2, 3, 4], (5, 6, 7, 8)]"),
    ),
    Reader(
        name="Molmo's points",
        sources=("targets/vlm_text.py",),
        form="text",
        call=lambda text: parse_molmo(text, size=SIZE),
        seeds=texts(
            'Here: <point x="25.0" y="50" alt="mug">mug</point>',
            '<points x1="1" y1="2" x2="3.5" y2="4" alt="a">a</points>',
        ),
    ),
    Reader(
        name="Qwen's places",
        sources=("targets/vlm_text.py",),
        form="text",
        call=lambda text: parse_qwen(text, size=SIZE, units="pixels", input_size=(56, 112)),
        seeds=texts(
            '```json\n[{"bbox_2d": [1, 2, 30, 40], "label": "a"}]\n```', '[{"point_2d": [1, 2], "label": "a"}]'
        ),
    ),
    Reader(
        name="RoboPoint's places",
        sources=("targets/vlm_text.py",),
        form="text",
        call=lambda text: parse_robopoint(text, size=SIZE),
        seeds=texts("[(0.25, 0.5), (0.3, 0.4)]", "[(0.1, 0.2, 0.3, 0.4)]"),
    ),
    Reader(
        name="PaliGemma's boxes",
        sources=("targets/vlm_text.py",),
        form="text",
        call=lambda text: parse_paligemma(text, size=SIZE),
        seeds=texts("<loc0010><loc0020><loc0300><loc0400> cat ; <loc0000><loc0000><loc1023><loc1023> dog"),
    ),
    Reader(
        name="count in an answer",
        sources=("vlm/numbers.py",),
        form="text",
        call=lambda text: (read_count(text, "cups"), read_count(text)),
        seeds=texts("There are 12 red cups.", "between three and five cups", "twenty-one, or 1,200", "a dozen"),
    ),
    Reader(
        name="address",
        sources=("data/fetch.py",),
        form="text",
        call=_addresses,
        seeds=texts("https://example.org:8080/a.jpg?x=1#y", "http://[2001:db8::1]/b.png", "http://ex.org/%20"),
    ),
    Reader(
        name="name of something to look at",
        sources=("data/sources.py",),
        form="text",
        call=lambda text: expand([text]),
        valid=False,
        seeds=texts(
            "https://example.org/a.jpg", "rtsp://example.org/live", "nowhere/*.jpg", "**/x[0-9].png", "7", "nowhere.mp4"
        ),
    ),
    Reader(
        name="settings of a recipe",
        sources=("train/keypoint_recipe.py",),
        form="text",
        call=lambda text: with_settings({"training": {"rate": 0.1}}, [text]),
        seeds=texts("training.rate=3e-4", "model.widths=[8, 16]", "a.b={c: 1, d: [2020-01-01, ~]}", "x=!!float 3"),
    ),
    Reader(
        name="words of options",
        sources=("jobs/options.py",),
        form="text",
        call=lambda text: [
            _or_refused(one, text)
            for one in (parse_size, lambda t: box_of(t, "--box"), lambda t: split(t, "--class"), parse_like, is_import)
        ],
        seeds=texts("224x320", "1,2,3,4", "a, b,c", "package.module:make", "10,20,30,40;1,2,3,4"),
    ),
    Reader(
        name="options of a job",
        sources=("jobs/options.py", "train/recipe.py"),
        form="json",
        call=lambda text: [_or_refused(job.from_json, text) for job in (ExplainJob, CountJob)],
        seeds=texts(
            json.dumps(
                {"sources": ["a.jpg"], "model": "scenes", "method": ["gradcam"], "top": 3, "seed": 1, "trust": "fast"}
            ),
            json.dumps({"sources": ["a.jpg"], "question": "How many cups?", "category": "cups"}),
        ),
    ),
    Reader(
        name="action classes",
        sources=("data/anticipation/classes.py",),
        form="json",
        call=Classes.from_json,
        seeds=texts(CLASSES),
    ),
)


def _or_refused(read: object, text: str) -> object:
    """What one of several readers makes of a text; whether it refuses it decides nothing for the others."""
    from isotherm.errors import IsothermError

    try:
        return read(text)  # type: ignore[operator]
    except IsothermError as error:
        return error
