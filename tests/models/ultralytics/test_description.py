"""Descriptions of YOLO architectures: plain data only, whatever was imported first and whatever the environment says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
import yaml

from isotherm.errors import AdapterError, WeightsError
from isotherm.models.ultralytics.description import check_description, is_activation, is_text_model, read_description
from isotherm.models.ultralytics.models import open_model
from isotherm.models.ultralytics.view import load
from isotherm.models.ultralytics.weights import open_yolo
from isotherm.models.weights.permission import allowed_files
from rigs.breadth import wide

PLAIN = "nc: 2\nbackbone:\n  - [-1, 1, Conv, [8, 3, 2]]\nhead:\n  - [-1, 1, Classify, [nc]]\n"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ISOTHERM_HOME", str(tmp_path / "home"))


def evil_activation(marker: Path) -> str:
    """An activation that makes a folder when it is evaluated, and is one all the same."""
    return f"__import__('os').mkdir({str(marker)!r}) or torch.nn.SiLU()"


def evil_checkpoint(fpath: Path, marker: Path) -> Path:
    """A checkpoint whose layers are harmless and whose description runs code when the model is built again from it."""
    from ultralytics.nn.tasks import ClassificationModel

    model = ClassificationModel(yaml.safe_load(PLAIN), verbose=False)
    model.yaml["activation"] = evil_activation(marker)
    model.task = "classify"
    torch.save({"model": model, "train_args": {"task": "classify"}}, fpath)
    return fpath


# --- in processes of their own --------------------------------------------------------------------------------

ATTEMPTS = """
import json, sys
if sys.argv[1] == "before":
    import ultralytics.nn.tasks
from isotherm.models.ultralytics.view import load
from isotherm.errors import WeightsError
said = {}
for name in sys.argv[2:]:
    try:
        load(name, fuse_batchnorm=False)
        said[name] = "opened"
    except WeightsError as error:
        said[name] = str(error)
print(json.dumps(said))
"""


@pytest.mark.parametrize(("order", "safe"), [("before", None), ("after", "0"), *wide([("before", "0")])])
def test_nothing_runs_whatever_was_imported_and_set(tmp_path, programs, order, safe):
    marker = tmp_path / "marker"
    act = evil_activation(marker)
    (tmp_path / "yolo-activation.yaml").write_text(f'activation: "{act}"\n{PLAIN}')
    (tmp_path / "yolo-merged.yml").write_text(f'<<: {{<<: {{activation: &a "{act}"}}}}\n{PLAIN}')
    (tmp_path / "yolo-argument.yaml").write_text(PLAIN.replace("[nc]", f'["{act}"]'))
    (tmp_path / "yolo-fine.yaml").write_text(f"activation: nn.LeakyReLU(negative_slope=0.1)\n{PLAIN}")
    checkpoint = evil_checkpoint(tmp_path / "evil.pt", marker)
    torch.save({"model": _Evil(marker)}, tmp_path / "pickle.pt")
    bad = ["yolo-activation.yaml", "yolo-merged.yml", "yolo-argument.yaml"]
    names = [str(tmp_path / n) for n in (*bad, "yolo-fine.yaml")] + [str(checkpoint), str(tmp_path / "pickle.pt")]
    environment = {"ULTRALYTICS_SAFE_LOAD": safe, "ISOTHERM_HOME": str(tmp_path / "home")}
    run = programs.run(ATTEMPTS, [order, *names], cwd=tmp_path, environment=environment)
    assert run.returncode == 0, run
    said = json.loads(run.stdout.splitlines()[-1])
    assert not marker.exists()
    for name in bad:
        assert "expected" in said[str(tmp_path / name)]
        assert f'pass allow_code="{tmp_path / name}"' in said[str(tmp_path / name)]
    assert "has activation" in said[str(checkpoint)]
    assert "asks for posix.mkdir" in said[str(tmp_path / "pickle.pt")]
    assert said[str(tmp_path / "yolo-fine.yaml")] == "opened"


class _Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


# --- what is allowed -------------------------------------------------------------------------------------------


def test_every_description_that_the_package_ships_is_plain():
    from ultralytics.utils import ROOT

    shipped = sorted((ROOT / "cfg" / "models").rglob("*.yaml"))
    assert len(shipped) > 40
    for fpath in shipped:
        assert {"nc", "backbone", "head"} <= read_description(fpath.read_bytes(), fpath).keys()


def test_names_mean_what_they_mean_to_the_package(tmp_path, monkeypatch):
    import ultralytics

    monkeypatch.chdir(tmp_path)
    for name in ("yolo26n-cls.yaml", "yolov5n6.yaml", "v3/yolov3-tiny.yaml"):
        ours, theirs = open_model(name, None, 0), ultralytics.YOLO(name)
        assert (type(ours), ours.task, ours.model.yaml["scale"]) == (
            type(theirs),
            theirs.task,
            theirs.model.yaml["scale"],
        ), name
        assert {k: v.shape for k, v in ours.model.state_dict().items()} == {
            k: v.shape for k, v in theirs.model.state_dict().items()
        }
        assert (ours.model.yaml["yaml_file"], ours.cfg, ours.overrides["model"]) == (name,) * 3
    (tmp_path / "yolo 'mine'.yaml").write_text(PLAIN)
    assert load("yolo 'mine'.yaml").names == ("0", "1")


def test_layers_from_torch_and_its_activations(tmp_path):
    (tmp_path / "yolo.yaml").write_text(
        "activation: torch.nn.ReLU()\n" + PLAIN.replace("head:", "  - [-1, 1, nn.Identity, []]\nhead:")
    )
    model = open_model(str(tmp_path / "yolo.yaml"), None, 0).model
    assert isinstance(model.model[0].act, torch.nn.ReLU)
    for value in (
        "nn.SiLU()",
        "torch.nn.GELU(approximate='tanh')",
        " nn.LeakyReLU(0.1, True) ",
        "nn.Hardtanh(-2.0, 2)",
        "nn.Identity()",
    ):
        assert is_activation(value), value
    for value in (
        "nn.SiLU",
        "nn.Linear(2, 2)",
        "nn.SiLU(open('x'))",
        "nn.SiLU(**{})",
        "nn.SiLU(*[])",
        "(lambda: nn)().SiLU()",
        "nn.modules.SiLU()",
        "nn.ReLU(inplace=__import__('os'))",
        "nn.SiLU() or 1",
        "nn.parallel.os()",
        "-" * 100 + "1",
        3,
        None,
        ["nn.SiLU()"],
        "x" * 300,
    ):
        assert not is_activation(value), value


# --- what is refused -------------------------------------------------------------------------------------------

REFUSED = {
    "unknown key": ("on_load: print", "has the key 'on_load'"),
    "text model": (
        "text_model: clip:/tmp/evil.pt",
        "has text_model 'clip:/tmp/evil.pt'; expected a text encoder that the package publishes",
    ),
    "scales": ("scales: {n: [1, __import__('os'), 3]}", "has scales"),
    "classes": ("nc: __import__('os')", "has nc"),
    "a layer with dots": ("head: [[-1, 1, nn.modules.os.system, [x]]]", r"has head\[0\] layer 'nn.modules.os.system'"),
    "a function as layer": ("head: [[-1, 1, yaml_model_load, [x]]]", r"has head\[0\] layer 'yaml_model_load'"),
    "a model as layer": ("head: [[-1, 1, DetectionModel, [x]]]", r"has head\[0\] layer 'DetectionModel'"),
    "an argument": ("head: [[-1, 1, Conv, [8, [3, \"open('x')\"]]]]", r"has head\[0\] arguments"),
    "a path": ("head: [[-1, 1, TorchVision, [8, /tmp/evil.pt]]]", r"has head\[0\] arguments"),
    "a mapping": ("head: [[-1, 1, Conv, [{weights: x}]]]", r"has head\[0\] arguments"),
    "from": ("head: [[x, 1, Conv, [8]]]", r"has head\[0\] from 'x'"),
    "repeats": ("head: [[-1, true, Conv, [8]]]", r"has head\[0\] repeats True"),
    "no layers": ("head: []", r"has head \[\]"),
    "a short layer": ("head: [[-1, 1, Conv]]", r"has head\[0\] \[-1, 1, 'Conv'\]"),
    "a list without end": ("head: [[-1, 1, Conv, &a [*a]]]", r"has head\[0\] arguments"),
    "a list that grows": (f"head: [[-1, 1, Conv, [&a [{'1,' * 50}], &b [{'*a,' * 50}]]]]", r"has head\[0\] arguments"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_description_needs_is_refused(tmp_path, case):
    line, words = REFUSED[case]
    kept = "".join(
        f"{k}: {v}\n" for k, v in {"nc": 2, "backbone": "[]", "head": "[]"}.items() if not line.startswith(k)
    )
    fpath = tmp_path / "yolo.yaml"
    fpath.write_text(f"{line}\n{kept}")
    with pytest.raises(WeightsError, match=rf"{words}.*pass allow_code=\"{fpath}\"") as caught:
        load(fpath)
    assert caught.value.on_command_line().endswith(f"pass --allow-code {fpath}")
    assert "expected" in str(caught.value)


BROKEN = {
    "no yaml": (b"a: [", "cannot be read as YAML"),
    "tags": (b"nc: !!python/object/apply:os.system [ls]", "cannot be read as YAML"),
    "a date that is none": (b"nc: 2020-99-99", "cannot be read as YAML"),
    "bytes": (b"\xff\xfe\x00", "cannot be read as YAML"),
    "a list": (b"- 1", "describes no architecture"),
    "a data set": (b"path: coco8\ntrain: images", r"describes no architecture \(it holds path, train\)"),
    "far too long": (b"#" * 1_000_001, "and 1000000 at most"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_files_that_are_no_description(tmp_path, case):
    content, words = BROKEN[case]
    (tmp_path / "yolo.yaml").write_bytes(content)
    with pytest.raises(WeightsError, match=words):
        load(tmp_path / "yolo.yaml")


def test_addresses_and_missing_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("https://example.com/yolo11n.yaml", "ul://owner/yolo11n.yaml"):
        with pytest.raises(WeightsError, match="is an address; download the file"):
            load(name)
    for name in ("yolo99n.yaml", "nowhere/yolo11n.yaml", "/nowhere/yolo11n.yaml", "../yolo11n.yaml"):
        with pytest.raises(WeightsError, match=f"there is no architecture {name}"):
            load(name)
    (tmp_path / "yolo.yaml").write_text(PLAIN.replace("[-1, 1, Conv", "[7, 1, Conv"))
    with pytest.raises(AdapterError, match=r"cannot be built \(IndexError"):
        load("yolo.yaml")


# --- when the user knows who made it ----------------------------------------------------------------------------


def test_an_allowed_description_is_built_as_it_is(tmp_path, capsys):
    marker, fpath = tmp_path / "marker", tmp_path / "yolo.yaml"
    fpath.write_text(f'activation: "{evil_activation(marker)}"\n{PLAIN}')
    load(fpath, allow_code=fpath)
    assert "may run code while it is opened" in capsys.readouterr().err
    marker.rmdir()  # the craft works: this test can fail
    load(fpath)
    marker.rmdir()
    assert list(allowed_files()) == [str(fpath.resolve())]
    fpath.write_text(f'activation: "{evil_activation(marker)} "\n{PLAIN}')
    with pytest.raises(WeightsError, match="has changed since it was allowed to run code"):
        load(fpath)
    assert not marker.exists()


def test_the_description_in_a_checkpoint(tmp_path, monkeypatch):
    from ultralytics.nn import tasks

    marker = tmp_path / "marker"
    fpath = evil_checkpoint(tmp_path / "evil.pt", marker)
    with pytest.raises(WeightsError, match=r"has activation .*would evaluate or open it.*pass allow_code="):
        open_yolo(fpath)
    yolo = open_yolo(fpath, allow_code=fpath, say=lambda _: None)
    assert not marker.exists()
    monkeypatch.setattr(tasks, "SAFE_LOAD", False)
    type(yolo.model)(yolo.model.yaml, verbose=False)  # as the package does before it trains
    assert marker.exists()


def test_what_older_checkpoints_hold_is_let_through():
    layers = {
        "backbone": [[-1, 1, "OldStem", []], [-1, 1, "nn.Upsample", ["None", 2, "nearest"]]],
        "head": [[[0, 1], 1, "OldDetect", ["nc", "anchors"]]],
    }
    note = {"scale": "n", "ch": 3, "anchors": [[10, 13, 16, 30]], "nc": 80, "names": {0: "person"}}
    check_description({**layers, **note, "yaml_file": "/somewhere/yolov8n.yaml"}, "old.pt", saved=True)
    with pytest.raises(WeightsError, match="layer 'OldStem'"):
        check_description(layers, "old.yaml")
    with pytest.raises(WeightsError, match="the key 'anchors'"):
        check_description(note, "old.yaml")
    with pytest.raises(WeightsError, match="the key 'hook'"):
        check_description({**layers, "hook": "os.system('ls')"}, "old.pt", saved=True)


def test_text_encoders_by_their_published_names(tmp_path):
    for value in ("mobileclip:blt", "mobileclip2:b", "clip:ViT-B/32", "clip:RN50x16", "clip:ViT-L/14@336px"):
        assert is_text_model(value), value
    for value in ("clip:evil.pt", "clip:../ViT-B/32", "clip:ViT-B/32/../../evil.pt", "mobileclip:../x", "", None):
        assert not is_text_model(value), value
    from ultralytics.nn.tasks import ClassificationModel

    model = ClassificationModel(yaml.safe_load(PLAIN), verbose=False)
    model.task, model.text_model = "classify", "clip:evil.pt"
    torch.save({"model": model, "train_args": {"task": "classify"}}, tmp_path / "evil.pt")
    with pytest.raises(WeightsError, match=r"has text_model 'clip:evil\.pt'"):
        open_yolo(tmp_path / "evil.pt")


@pytest.mark.parametrize(("stem", "scale"), [("yolo-big", "n"), ("yolo11x", "x")])
def test_what_is_too_large_at_the_scale_of_its_name_is_not_built(tmp_path, stem, scale):
    """At scale n the layer has a hundredth of the channels that it has at x."""
    scales = "scales:\n  n: [1, 0.0001, 1000000000]\n  x: [1, 1, 1000000000]\n"
    fpath = tmp_path / f"{stem}.yaml"
    fpath.write_text(scales + PLAIN.replace("[8, 3, 2]", "[40000000, 3, 2]"))
    if scale == "n":
        assert load(str(fpath), fuse_batchnorm=False).model is not None
    else:
        with pytest.raises(
            AdapterError, match=r"yolo11x.yaml cannot be built .*a network of more than 1073741824 numbers"
        ):
            load(str(fpath))


def test_repeats_without_end_are_not_built(tmp_path):
    fpath = tmp_path / "yolo-long.yaml"
    fpath.write_text(PLAIN.replace("[-1, 1, Conv", "[-1, 1000000000, Conv"))
    with pytest.raises(AdapterError, match=r"yolo-long.yaml cannot be built .*a network of more than \d+ modules"):
        load(str(fpath))
