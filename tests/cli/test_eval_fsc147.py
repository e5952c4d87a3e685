"""``isotherm eval fsc147`` on files as the authors of FSC-147 give them out, and the record of several ways at once."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from isotherm.cli import main
from isotherm.data.fsc147 import ANNOTATIONS, CLASSES, PICTURES, SPLITS, read_fsc147
from isotherm.data.shape_questions import draw_shapes
from isotherm.models.transformers.vlm.view import TransformersVlm
from isotherm.runs.read import list_runs, read_run

MODEL = ["--model", "tiny-vlm", "--weights", "none", "--prompt", "how many {category} ?", "--quiet"]
STORE = "/nfs/bigneuron/viresh/FSC_NewDataOnly"
"""What the paths in the authors' file begin with; nothing of ours follows them."""


@pytest.fixture(autouse=True)
def short_answers(monkeypatch):
    """Random weights end no answer: a few words of it are as good as the sixty-four that may be said."""
    answer = TransformersVlm.answer
    monkeypatch.setattr(TransformersVlm, "answer", lambda self, asked, *, most: answer(self, asked, most=min(most, 4)))


def entry(name, size, points, boxes):
    """A picture of their file, with all of its keys: places in pixels of the small picture, sizes of the large one."""
    number, (h, w) = name.partition(".")[0], size
    return {
        "H": 2 * h,
        "W": 2 * w,
        "box_examples_coordinates": [
            [[int(x0), int(y0)], [int(x0), int(y1)], [int(x1), int(y1)], [int(x1), int(y0)]] for x0, y0, x1, y1 in boxes
        ],
        "box_examples_path": [f"{STORE}/box_examples/{number}_{i}.jpg" for i in range(len(boxes))],
        "density_path": f"{STORE}/gt_density_map_adaptive_384_VarV2/{number}.npy",
        "density_path_fixed": f"{STORE}/gt_density_map_fixed/{number}.npy",
        "img_path": f"{STORE}/images_384_VarV2/{name}",
        "points": [[float(x), float(y)] for x, y in points],
        "r": [12, 14],
        "ratio_h": 0.5,
        "ratio_w": 0.5,
    }


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """Three pictures in two splits, as in the release: JSON without and with indentation, names with a tab behind them."""
    folder = tmp_path_factory.mktemp("FSC147_384_V2")
    (folder / PICTURES).mkdir()
    annotations = {}
    for i, name in enumerate(("2.jpg", "3.jpg", "685.jpg")):
        rng = np.random.default_rng(i)
        size = (64, 96) if i else (48, 48)
        picture, centres, _ = draw_shapes(
            rng, rng.integers(0, 3, 4), np.array([0, 0, 0, 1]), rng.uniform(4, 5, 4), side=size[0]
        )
        wide = np.zeros((*size, 3), np.uint8)
        wide[:, : picture.shape[1]] = picture
        Image.fromarray(wide).save(folder / PICTURES / name, quality=95)
        boxes = [(x - 5, y - 5, x + 5, y + 5) for x, y in centres[:3].clip(5)]
        annotations[name] = entry(name, size, centres[:3], boxes)
    (folder / ANNOTATIONS).write_text(json.dumps(annotations))
    splits = {"test": ["2.jpg", "685.jpg"], "test_coco": ["685.jpg"], "train": ["3.jpg"], "val": [], "val_coco": []}
    (folder / SPLITS).write_text(json.dumps(splits, indent=4))
    (folder / CLASSES).write_text("2.jpg\tsea shells\n3.jpg\thot air balloons\n685.jpg\tred\n7.jpg\tpeaches\n")
    return folder


def test_the_release_is_read_and_judged(official, tmp_path, capsys):
    shells, red = read_fsc147(official, "test")
    assert (shells.category, red.category, shells.count, len(shells.boxes)) == ("sea shells", "red", 3, 3)
    assert (shells.boxes[:, 2:] - shells.boxes[:, :2]).max() <= 11
    out = tmp_path / "judged"
    assert main(["eval", "fsc147", str(official), "--strategy", "global", *MODEL, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "MAE" in printed
    rows = [json.loads(line) for line in (out / "pictures.jsonl").read_text().splitlines()]
    assert [(row["name"], row["category"], row["true"]) for row in rows] == [
        ("2.jpg", "sea shells", 3),
        ("685.jpg", "red", 3),
    ]
    for split, count in (("test_coco", 1), ("train", 1)):
        judged = ["eval", "fsc147", str(official), "--split", split, "--strategy", "global", *MODEL]
        assert main([*judged, "--out", str(tmp_path / split)]) == 0
        assert json.loads((tmp_path / split / "results.json").read_text())["pictures"] == count
    capsys.readouterr()
    assert main(["eval", "fsc147", str(official), "--split", "val", *MODEL, "--out", str(tmp_path / "val")]) == 2
    assert "there are no pictures to judge by" in capsys.readouterr().err


def test_several_ways_have_one_record(official, tmp_path, capsys, monkeypatch):
    out = tmp_path / "ways"
    arguments = ["eval", "fsc147", str(official), "--strategy", "global,dense", "--limit", "1", *MODEL]
    arguments += ["--out", str(out)]
    answer, asked = TransformersVlm.answer, []

    def stops(self, prompt, *, most):
        asked.append(prompt)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return answer(self, prompt, most=most)

    monkeypatch.setattr(TransformersVlm, "answer", stops)
    assert main(arguments) == 130
    assert read_run(out)["status"] == "interrupted"
    assert not (out / "results.json").exists()
    assert main(arguments) == 0
    record = read_run(out)
    assert (record["job"], record["status"], record["ways"]) == ("eval", "finished", ["global", "dense"])
    assert record["data"].endswith("test, first 1")
    assert [start["status"] for start in record["starts"]] == ["interrupted", "finished"]
    assert read_run(out / "global")["status"] == "finished"
    assert len(list_runs(out)) == 3
    capsys.readouterr()
    assert main(["runs", str(tmp_path)]) == 0
    assert "eval" in capsys.readouterr().out
    # one way into the folder of several, and several into that of one
    one = ["eval", "fsc147", str(official), "--strategy", "global", "--limit", "1", *MODEL]
    assert main([*one, "--out", str(out)]) == 2
    assert "holds other files" in capsys.readouterr().err
    assert main([*arguments[:-1], str(out / "global")]) == 2
    assert "holds the judgement of one strategy" in capsys.readouterr().err
