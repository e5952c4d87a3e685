"""Permission to run a file's code: for one path and its bytes, remembered or not; and checkpoints that ask for it."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import zipfile

import pytest
import torch
from torch import nn

from isotherm.errors import AdapterError, WeightsError
from isotherm.models.ultralytics.weights import open_yolo
from isotherm.models.weights.files import open_weights
from isotherm.models.weights.permission import allowed_files, authorise, config_dpath, permissions_fpath
from isotherm.ops.hashing import sha256_of
from rigs.hostile_weights import Evil, crafted
from rigs.plain_weights import STATE, same


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ISOTHERM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


# --- permission-------------------------------------------------------------------------------------------------


class Marked(nn.Linear):
    """A whole module in a file, as torch.save(model) makes it: harmless, and still a program."""


def test_permission_holds_for_a_path_and_its_bytes(tmp_path):
    fpath, said = tmp_path / "model.pt", []
    torch.save({"model": Marked(2, 2), "note": "x"}, fpath)
    with pytest.raises(WeightsError, match=r"asks for \S*Marked"):
        open_weights(fpath)
    found = open_weights(fpath, allow_code=fpath, say=said.append)
    assert found.keys() == {"weight", "bias"}
    assert said == [f"{fpath} may run code while it is opened, sha256 {sha256_of(fpath)}"]
    assert allowed_files() == {str(fpath.resolve()): sha256_of(fpath)}
    assert same(open_weights(fpath), found)  # remembered
    assert len(said) == 1
    before = sha256_of(fpath)
    torch.save({"model": Marked(2, 2), "note": "y"}, fpath)
    with pytest.raises(
        WeightsError, match=f"has changed since it was allowed to run code: sha256 was {before}, is {sha256_of(fpath)}"
    ):
        open_weights(fpath)
    assert not same(open_weights(fpath, allow_code=str(fpath), say=said.append), found)
    open_weights(fpath)
    copy = shutil.copy(fpath, tmp_path / "copy.pt")
    with pytest.raises(WeightsError, match="asks for"):
        open_weights(copy)


def test_permission_follows_links_and_needs_the_file(tmp_path):
    fpath = tmp_path / "model.pt"
    torch.save(Marked(2, 2), fpath)
    (tmp_path / "link.pt").symlink_to(fpath)
    with pytest.raises(WeightsError, match=r"the file that may run code, .*none\.pt, cannot be found"):
        open_weights(fpath, allow_code=tmp_path / "none.pt")
    open_weights(tmp_path / "link.pt", allow_code=fpath, say=lambda _: None)
    assert list(allowed_files()) == [str(fpath.resolve())]


def test_a_hash_is_printed_where_nobody_says_otherwise(tmp_path, capsys):
    fpath = tmp_path / "model.pt"
    torch.save(Marked(2, 2), fpath)
    open_weights(fpath, allow_code=fpath)
    captured = capsys.readouterr()
    assert sha256_of(fpath) in captured.err
    assert captured.out == ""


def test_a_damaged_record_allows_nothing_and_can_be_renewed(tmp_path, home):
    fpath = tmp_path / "model.pt"
    torch.save(Marked(2, 2), fpath)
    home.mkdir()
    for content in (
        "",
        "[]",
        '{"format": "other"}',
        '{"format": "isotherm.permission/1", "files": {"a": 3}}',
        "[" * 100_000,
    ):
        permissions_fpath().write_text(content)
        with pytest.raises(WeightsError, match=r"record of allowed files .* cannot be read"):
            open_weights(fpath)
    open_weights(fpath, allow_code=fpath, say=lambda _: None)
    open_weights(fpath)
    assert json.loads(permissions_fpath().read_text())["format"] == "isotherm.permission/1"


def test_permission_that_cannot_be_remembered_holds_once(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ISOTHERM_HOME", str(tmp_path / "file" / "below"))
    fpath, said = tmp_path / "model.pt", []
    torch.save(Marked(2, 2), fpath)
    assert authorise(fpath, "00", fpath, said.append)
    assert "could not be remembered" in said[1]


def test_where_the_record_lies(monkeypatch, tmp_path):
    assert config_dpath() == tmp_path / "home"
    monkeypatch.delenv("ISOTHERM_HOME")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    assert permissions_fpath() == tmp_path / "xdg" / "isotherm" / "permissions.json"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert config_dpath() == tmp_path / ".config" / "isotherm"


# --- ultralytics -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    pytest.importorskip("ultralytics", reason="the yolo extra is not installed")
    from ultralytics import YOLO

    fpath = tmp_path_factory.mktemp("yolo") / "tiny.pt"
    torch.manual_seed(0)
    YOLO("yolov8n.yaml").save(fpath)
    return fpath


@pytest.fixture(params=[True, False], ids=["imported safe", "imported unsafe"])
def imported(request, monkeypatch):
    """As if the package had been imported before, with its safe mode on or off, and its installer on."""
    pytest.importorskip("ultralytics", reason="the yolo extra is not installed")
    from ultralytics.nn import tasks
    from ultralytics.utils import checks

    monkeypatch.setattr(tasks, "SAFE_LOAD", request.param)
    monkeypatch.setattr(checks, "AUTOINSTALL", True)
    installed = []  # recorded, because the package swallows what its installer raises
    monkeypatch.setattr(checks.subprocess, "check_output", lambda *a, **k: installed.append(a) or "")
    monkeypatch.setattr(checks, "ONLINE", True)
    yield
    assert installed == []
    assert (request.param, True) == (tasks.SAFE_LOAD, checks.AUTOINSTALL)


def test_a_normal_checkpoint_opens(checkpoint, imported, home):
    from ultralytics import YOLO

    yolo = open_yolo(checkpoint)
    assert isinstance(yolo, YOLO)
    assert (yolo.task, yolo.ckpt_path, yolo.model.pt_path) == ("detect", str(checkpoint), str(checkpoint))
    assert not home.exists()


def evil_checkpoint(checkpoint, fpath, how, marker):
    if how == "module":
        content = {"model": Evil(marker), "train_args": {}}
        torch.save(content, fpath)
    elif how == "beside":
        content = torch.load(checkpoint, weights_only=False)
        torch.save({**content, "extra": Evil(marker)}, fpath)
    else:
        crafted(fpath, how, marker)
    return fpath


@pytest.mark.parametrize("how", ["module", "beside", "legacy", "2", "4"])
def test_a_crafted_checkpoint_is_refused(checkpoint, tmp_path, how, imported):
    marker = tmp_path / "marker"
    fpath = evil_checkpoint(checkpoint, tmp_path / "evil.pt", how, marker)
    with pytest.raises(
        WeightsError, match=rf"asks for (posix|nt)\.mkdir and could run any code.*pass allow_code=\"{fpath}\""
    ):
        open_yolo(fpath)
    assert not marker.exists()


def test_a_module_that_is_not_installed_is_not_installed(checkpoint, tmp_path, imported):
    fpath = tmp_path / "needs.pt"
    content = pickle.dumps({"model": 1}, protocol=2).replace(b"K\x01", b"cno_such_package_here\nThing\n")
    with zipfile.ZipFile(checkpoint) as whole, zipfile.ZipFile(fpath, "w") as made:
        for name in whole.namelist():
            made.writestr(name, content if name.endswith("data.pkl") else whole.read(name))
    with pytest.raises(WeightsError, match=r"asks for no_such_package_here\.Thing"):
        open_yolo(fpath)
    with pytest.raises(WeightsError, match="needs the package no_such_package_here, which is not installed"):
        open_yolo(fpath, allow_code=fpath, say=lambda _: None)


def test_an_allowed_checkpoint_opens_under_its_own_name(checkpoint, tmp_path, imported):
    marker, said = tmp_path / "marker", []
    fpath = evil_checkpoint(checkpoint, tmp_path / "mine.pt", "beside", marker)
    yolo = open_yolo(fpath, allow_code=fpath, say=said.append)
    marker.rmdir()  # it did run, because it was allowed to
    assert (yolo.ckpt_path, yolo.model.pt_path, yolo.overrides["model"]) == (str(fpath),) * 3
    assert sha256_of(fpath) in said[0]
    assert open_yolo(fpath).task == "detect"  # remembered
    evil_checkpoint(checkpoint, fpath, "module", tmp_path / "second")
    with pytest.raises(WeightsError, match="has changed since it was allowed to run code"):
        open_yolo(fpath)
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize("name", ["o'brien.pt", "yolov5n.pt", " padded.pt"])
def test_names_that_the_package_would_change(checkpoint, tmp_path, name, imported):
    """It would look for obrien.pt, yolov5nu.pt or padded.pt, and download what it does not find."""
    fpath = tmp_path / name
    shutil.copy(checkpoint, fpath)
    assert open_yolo(fpath).ckpt_path == str(fpath)


def test_a_published_model_that_cannot_be_downloaded(tmp_path, monkeypatch, imported):
    monkeypatch.chdir(tmp_path)
    from ultralytics.utils import SETTINGS

    monkeypatch.setitem(SETTINGS, "weights_dir", str(tmp_path / "none"))
    for name in ("yolo11n.pt", "yolo11n"):
        with pytest.raises(
            WeightsError, match=r"yolo11n\.pt is not here and could not be downloaded .*ConnectionError.*give its path"
        ):
            open_yolo(name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("yolo11m.tp", "publishes no model of that name; did you mean yolo11m.pt"),
        ("nothing/yolo11n.pt", r"give the bare name yolo11n\.pt"),
        ("my-own-model.pt", "there is no weights file my-own-model.pt"),
        ("https://x.example/a.pt", "is an address; download the file"),
    ],
)
def test_wrong_names(name, words, imported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match=words):
        open_yolo(name)


def test_bad_checkpoints(checkpoint, tmp_path, imported):
    whole = checkpoint.read_bytes()
    buffer = io.BytesIO()
    torch.save(STATE, buffer)
    cases = {
        "cut.pt": (whole[: len(whole) // 2], "is damaged or cut short"),
        "empty.pt": (b"", "is empty"),
        "words.pt": (b"only words", "damaged, cut short or no ultralytics checkpoint"),
        "state.pt": (buffer.getvalue(), r"holds weights \(3 tensors by name, a\.weight first\) without their network"),
        "model.onnx": (b"\x08\x07", "expected a .pt file"),
    }
    for name, (content, words) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises((WeightsError, AdapterError), match=words):
            open_yolo(tmp_path / name)
    (tmp_path / "folder.pt").mkdir()
    with pytest.raises(WeightsError, match="is a folder"):
        open_yolo(tmp_path / "folder.pt")
