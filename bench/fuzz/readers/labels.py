"""Annotation files: keypoints, counts, instructions, classes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from bench.fuzz.reader import Reader
from isotherm.data.beetle_annotations import read_beetles
from isotherm.data.class_names import read_class_names
from isotherm.data.coco import read_coco
from isotherm.data.fsc147 import ANNOTATIONS, CLASSES, PICTURES, SPLITS, read_fsc147
from isotherm.data.grounding import read_jsonl, read_refcoco
from isotherm.data.grounding.views import read_views
from isotherm.data.point_table import read_point_table

CAMERA = {"K": [[100, 0, 40], [0, 100, 20], [0, 0, 1]], "R": [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "t": [0, 0, 0]}
BOUNDS = [[-0.5, -0.5, 0.2], [0.5, 0.5, 1]]
COCO = {
    "images": [
        {"id": 7, "file_name": "a.png", "height": 40, "width": 80},
        {"id": 8, "file_name": "b.png", "height": 40, "width": 80},
    ],
    "categories": [
        {"id": 1, "name": "cup", "keypoints": ["left_ear", "right_ear", "rim"], "skeleton": [[1, 3], [2, 3]]}
    ],
    "annotations": [
        {
            "id": 3,
            "image_id": 7,
            "category_id": 1,
            "bbox": [10, 4, 20, 8],
            "area": 30.5,
            "iscrowd": 0,
            "num_keypoints": 2,
            "keypoints": [12, 5, 2, 0, 0, 0, 20, 9, 1],
        },
        {"id": 4, "image_id": 8, "category_id": 1, "keypoints": [1, 2, 2, 3, 4, 2, 500, 9, 2]},
    ],
}
LONG = "picture,point,x,y,state\na.png,left,1,2,\na.png,right,3.5,4,occluded\nb.png,left,9,9,labelled\n"
WIDE = "picture,left_x,left_y,right_x,right_y,group,box_x0,box_y0,box_x1,box_y1\na.png,1,2,3,4,x,0,0,9,9\nb.png,,,5,6,y,,,,\n"
DEEP = "scorer,me,me,me,me\nbodyparts,left,left,right,right\ncoords,x,y,x,y\na.png,1,2,3,4\nb.png,,,5,6\n"
BEETLES = [
    {
        "picture": "a.png",
        "group": "Hawaii",
        "scale_bar": {"points": [[1, 2], [31, 32]], "cm": 0.5},
        "lines": {"length": [[2, 4], [30, 4.5]], "width": [[5, 3], [5.5, 4], [5, 6]]},
    },
    {"picture": "b.png", "group": "BeetlePalooza", "lines": {"length": [[1, 1], [19, 19]]}},
]
BEETLES_CSV = "picture,group,scale_bar,scale_bar_cm,width,length\na.png,Hawaii,1 2;9 9; 31 32,0.5,5 3; 5.5 4; 5 6,2 4;30 4.5\nb.png,BeetlePalooza,,,,1 1;19 19\n"
ENTRY = {
    "H": 768,
    "W": 1024,
    "box_examples_coordinates": [[[5, 15], [5, 25], [16, 25], [16, 15]]],
    "points": [[10.5, 20.0], [30, 20.25]],
    "ratio_h": 0.5,
    "ratio_w": 0.5,
}
COUNTED = {"a.png": ENTRY, "b.png": {**ENTRY, "points": []}}
LINES = (
    {"picture": "a.png", "text": "the cup", "annotation": "[0.25, 0.5]", "flag": "single_point"},
    {
        "picture": "b.png",
        "text": "a",
        "annotation": [[8, 4], [16, 8]],
        "flag": "grasp_point",
        "normalised": False,
        "angle_deg": [1, 2],
        "width_px": 3,
    },
    {
        "picture": "a.png",
        "text": "b",
        "cameras": [CAMERA],
        "point": [0.1, 0.1, 0.8],
        "bounds": BOUNDS,
        "views": ["top"],
    },
)
REFS = [
    {
        "ref_id": 1,
        "ann_id": 3,
        "image_id": 7,
        "split": "train",
        "sentences": [{"sent": "the left cup", "tokens": ["the"]}, "a cup"],
    }
]
VIEWS = {
    "text": "the cup",
    "bounds": BOUNDS,
    "views": [
        {"name": "a", "camera": CAMERA, "picture": "a.png"},
        {"name": "b", "camera": {"orthographic": ["+x", "-y"]}, "picture": "b.png"},
    ],
}


def _pictures(folder: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (80, 40)).save(folder / name)


def _counted(folder: Path) -> None:
    (folder / PICTURES).mkdir()
    _pictures(folder / PICTURES)
    (folder / ANNOTATIONS).write_text(json.dumps(COUNTED))
    (folder / SPLITS).write_text(json.dumps({"test": ["a.png", "b.png"]}))
    (folder / CLASSES).write_text("a.png\tsea shells\nb.png\tcups\n")


def _referred(folder: Path) -> None:
    _pictures(folder)
    (folder / "refs.json").write_text(json.dumps(REFS))
    (folder / "instances.json").write_text(json.dumps(COCO))


def _plain(*contents: Any) -> Any:
    return lambda folder: [
        content.encode() if isinstance(content, str) else json.dumps(content, indent=1).encode() for content in contents
    ]


def _parquet(folder: Path) -> Sequence[bytes]:
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.table({"picture": ["a.png", "b.png"], "left_x": [1.0, None], "left_y": [2.0, None]})
    parquet.write_table(table, folder / "a.parquet")
    return [(folder / "a.parquet").read_bytes()]


READERS = (
    Reader(
        name="COCO",
        sources=("data/coco.py", "data/coco_category.py", "data/annotation_files.py", "data/picture_folder.py"),
        form="json",
        call=read_coco,
        fname="coco.json",
        prepare=_pictures,
        seeds=_plain(COCO),
    ),
    Reader(
        name="COCO, bad entries left out",
        sources=("data/coco.py",),
        form="json",
        call=lambda path: read_coco(path, skip_bad=True),
        fname="coco.json",
        prepare=_pictures,
        seeds=_plain(COCO),
    ),
    Reader(
        name="table of points",
        sources=("data/point_table.py", "data/table_forms.py", "data/annotation_files.py"),
        form="csv",
        call=read_point_table,
        fname="points.csv",
        prepare=_pictures,
        seeds=_plain(LONG, WIDE, DEEP),
    ),
    Reader(
        name="table of points in Parquet",
        sources=("data/table_forms.py",),
        form="bytes",
        call=read_point_table,
        fname="points.parquet",
        prepare=_pictures,
        seeds=_parquet,
    ),
    Reader(
        name="beetles",
        sources=("data/beetle_annotations.py",),
        form="json",
        call=lambda path: read_beetles(path, path.parent),
        fname="beetles.json",
        prepare=_pictures,
        seeds=_plain(BEETLES),
    ),
    Reader(
        name="table of beetles",
        sources=("data/beetle_annotations.py",),
        form="csv",
        call=lambda path: read_beetles(path, path.parent),
        fname="beetles.csv",
        prepare=_pictures,
        seeds=_plain(BEETLES_CSV),
    ),
    Reader(
        name="FSC-147",
        sources=("data/fsc147.py",),
        form="json",
        call=lambda path: read_fsc147(path.parent),
        fname=ANNOTATIONS,
        prepare=_counted,
        seeds=_plain(COUNTED),
    ),
    Reader(
        name="splits of FSC-147",
        sources=("data/fsc147.py",),
        form="json",
        call=lambda path: read_fsc147(path.parent),
        fname=SPLITS,
        prepare=_counted,
        seeds=_plain({"test": ["a.png", "b.png"], "val": []}),
    ),
    Reader(
        name="classes of FSC-147",
        sources=("data/fsc147.py",),
        form="text",
        call=lambda path: read_fsc147(path.parent),
        fname=CLASSES,
        prepare=_counted,
        seeds=_plain("a.png\tsea shells\nb.png\tcups\n"),
    ),
    Reader(
        name="names of classes",
        sources=("data/class_names.py",),
        form="text",
        call=read_class_names,
        fname="names.txt",
        seeds=_plain("cat\ndog\nsea shell\n"),
    ),
    Reader(
        name="names of classes in JSON",
        sources=("data/class_names.py",),
        form="json",
        call=read_class_names,
        fname="names.json",
        seeds=_plain(["cat", "dog"], {"0": "cat", "1": "dog"}),
    ),
    Reader(
        name="instructions",
        sources=("data/grounding/jsonl.py", "data/grounding/cameras.py", "data/grounding/records.py"),
        form="lines",
        call=read_jsonl,
        fname="points.jsonl",
        prepare=_pictures,
        seeds=lambda folder: [
            "\n".join(map(json.dumps, some)).encode() for some in (LINES, LINES[:1], LINES[1:2], LINES[2:])
        ],
    ),
    Reader(
        name="referring expressions",
        sources=("data/grounding/refcoco.py",),
        form="json",
        call=lambda path: read_refcoco(path, path.parent / "instances.json", path.parent),
        fname="refs.json",
        prepare=_referred,
        seeds=_plain(REFS),
    ),
    Reader(
        name="instances behind referring expressions",
        sources=("data/grounding/refcoco.py",),
        form="json",
        call=lambda path: read_refcoco(path.parent / "refs.json", path, path.parent),
        fname="instances.json",
        prepare=_referred,
        seeds=_plain(COCO),
        names_file=False,
    ),
    Reader(
        name="views of a scene",
        sources=("data/grounding/views.py", "data/grounding/cameras.py"),
        form="json",
        call=read_views,
        fname="views.json",
        prepare=_pictures,
        seeds=_plain(VIEWS),
    ),
)
