"""``like``: what makes a picture like another one, by the cosine similarity of their embeddings."""

from __future__ import annotations

import pytest
import timm
import torch
from PIL import Image

from isotherm.api import explain, open_model
from isotherm.cli.main import main
from isotherm.errors import OptionError, TargetError
from isotherm.jobs.explain import shown
from isotherm.likeness import likeness
from isotherm.runs.read import read_items
from rigs.transformers_models import picture
from rigs.transformers_views import hit, view_of

ENCODERS = ("dinov2", "dinov3", "dinov3_convnext", "clip_pair", "vit_of_timm")


def encoder(family: str):
    if family != "vit_of_timm":
        return view_of(family, classes=None)
    torch.manual_seed(0)
    return open_model(timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=64, depth=2))


@pytest.mark.parametrize("family", ENCODERS)
def test_the_score_is_the_cosine_of_both_embeddings(family):
    view = encoder(family)
    one, other = picture(90, 150), picture(120, 100, 3)
    with torch.no_grad():
        inputs = [view.prepare([p]) for p in (one, other)]
        a, b = (view.find(view.run(x), x).embedding[0] for x in inputs)
    found = explain(view, one, like=other, trust="off")[0]
    assert found.meta["score"] == pytest.approx(float(torch.cosine_similarity(a, b, dim=0)), abs=1e-5)
    assert found.label == "likeness to the other picture"
    assert float(found.values.abs().max()) > 0
    (layer,) = view.auto_layers().layers
    assert max(hit(view, layer, (80, 90))) <= (1.0 if "convnext" in family else 0.4)


def test_a_file_is_named_and_the_same_picture_is_as_like_as_can_be(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "me.png")
    found = explain(encoder("dinov2"), picture(), like=tmp_path / "me.png", trust="off")[0]
    assert found.label == "likeness to me.png"
    assert found.meta["score"] == pytest.approx(1.0)


def test_what_has_no_embedding_is_refused():
    with pytest.raises(TargetError, match="no embedding of a whole picture"):
        explain(view_of("yolos"), picture(), like=picture(90, 150, 1))
    with pytest.raises(OptionError, match="leave target and prompt out"):
        explain(encoder("dinov2"), picture(), like=picture(90, 150, 1), target=3)


def test_the_command_line_takes_a_picture_or_boxes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(picture()).save("photo.png")
    Image.fromarray(picture(90, 150, 3)).save("other.png")
    command = [
        "explain",
        "photo.png",
        "--model",
        "timm:resnet18",
        "--weights",
        "none",
        "--size",
        "64",
        "--device",
        "cpu",
    ]
    made = []
    monkeypatch.setattr(shown, "likeness", lambda *given: made.append(likeness(*given)) or made[-1])
    Image.fromarray(picture(90, 150, 4)).save("further.png")
    assert main(["explain", "further.png", *command[1:], "--trust", "off", "--like", "other.png", "--out", "out"]) == 0
    told = capsys.readouterr().err
    for item in read_items("out"):
        assert f"likeness to other.png, cosine similarity {item['maps'][0]['score']:.4g}  (" in told
    labels = [one["label"] for item in read_items("out") for one in item["maps"]]
    assert labels == ["likeness to other.png"] * 2
    assert len(made) == 1
    assert main([*command, "--like", "other.png", "--class", "3", "--out", "no"]) == 2
    assert "leave --class, --top" in capsys.readouterr().err
    assert main([*command, "--like", "missing.png", "--out", "no"]) == 2
    assert "isotherm: --like: there is no file 'missing.png'; check the path, or give boxes" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()
