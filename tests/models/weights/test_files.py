"""No weights file runs code unless the user named that very file with those very bytes."""

from __future__ import annotations

import pickle
import shutil
import struct
import zipfile

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from isotherm.errors import WeightsError
from isotherm.models.weights.files import open_weights
from rigs.hostile_weights import Evil, crafted
from rigs.plain_weights import STATE, same


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ISOTHERM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


# --- what is safe is opened ---------------------------------------------------------------------------------


def test_every_safe_format(tmp_path):
    save_file(STATE, tmp_path / "a.safetensors")
    torch.save(STATE, tmp_path / "a.pt")
    torch.save(STATE, tmp_path / "legacy.pth", _use_new_zipfile_serialization=False)
    shutil.copy(tmp_path / "a.safetensors", tmp_path / "misnamed.bin")
    shutil.copy(tmp_path / "a.pt", tmp_path / "misnamed.safetensors")
    for fpath in tmp_path.glob("*.*"):
        assert same(open_weights(fpath), STATE), fpath


def test_checkpoints_that_hold_one_state_dict(tmp_path):
    optimiser = {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]}
    torch.save({"epoch": 3, "model": STATE, "optimizer": optimiser, "best": torch.tensor(0.5)}, tmp_path / "a.pt")
    assert same(open_weights(tmp_path / "a.pt"), STATE)
    ema = {k: v + 1 for k, v in STATE.items()}
    torch.save({"model": STATE, "model_ema": ema}, tmp_path / "b.pt")
    with pytest.raises(
        WeightsError, match=r'several state dicts \(model, model_ema\); say which, such as weights="\S+b\.pt#model"$'
    ):
        open_weights(tmp_path / "b.pt")
    assert same(open_weights(tmp_path / "b.pt", key="model_ema"), ema)
    assert same(open_weights(tmp_path / "b.pt#model_ema"), ema)
    with pytest.raises(WeightsError, match="no state dict 'none'; it has model, model_ema"):
        open_weights(tmp_path / "b.pt", key="none")


# --- what is not is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["zip", "legacy", "2", "3", "4", "5"])
def test_a_crafted_pickle_is_refused_and_does_nothing(tmp_path, how, home):
    marker = tmp_path / "marker"
    fpath = crafted(tmp_path / "evil.pt", how, marker)
    words = rf"asks for (posix|nt)\.mkdir and could run any code.*pass allow_code=\"{fpath}\""
    with pytest.raises(WeightsError, match=words):
        open_weights(fpath)
    other = tmp_path / "other.pt"
    torch.save(STATE, other)
    with pytest.raises(WeightsError, match=words):
        open_weights(fpath, allow_code=other)  # trust holds for the named file alone
    assert not marker.exists()
    assert not home.exists()
    pickle.loads(pickle.dumps(Evil(marker)))  # the craft itself works: this test can fail
    assert marker.exists()


BAD = {
    "missing": (None, "there is no weights file"),
    "empty": (b"", r"is empty \(0 bytes\)"),
    "words": (b"these are only words, no weights", "is no file of a model that can be read: its first bytes are"),
    "page": (b"<!DOCTYPE html><title>Log in</title>", "is a web page"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "run git lfs pull"),
    "keras": (b"\x89HDF\r\n\x1a\n" + b"\0" * 50, "is a file of Keras \\(HDF5\\)"),
    "gguf": (b"GGUF\3\0\0\0" + b"\0" * 50, "is GGUF"),
    "gzip": (b"\x1f\x8b\x08" + b"\0" * 50, "is packed by gzip"),
    "terabyte header": (
        struct.pack("<Q", 1 << 40) + b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        "claims a header of 1099511627776 bytes",
    ),
    "header longer than file": (
        struct.pack("<Q", 5000) + b"{" + b" " * 100,
        "claims a header of 5000 bytes but has 109",
    ),
    "header is no json": (struct.pack("<Q", 4) + b"{{{{" + b"\0" * 50, "is damaged or cut short"),
    "terabyte tensor": (
        (lambda h: struct.pack("<Q", len(h)) + h)(
            b'{"a":{"dtype":"F32","shape":[274877906944],"data_offsets":[0,1099511627776]}}'
        ),
        "is damaged or cut short",
    ),
    "broken zip": (b"PK\x03\x04" + b"\0" * 200, "is damaged or cut short"),
    "broken pickle": (b"\x80\x02" + b"\xff" * 50, "is damaged or cut short"),
    "oldest pickle": (b"cos\nsystem\n(S'exit 1'\ntR.", "is no file of a model that can be read"),
    "cut pickle": (b"\x80\x02}q\x00", "is damaged or cut short"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files(tmp_path, case):
    content, words = BAD[case]
    for suffix in (".pt", ".safetensors"):
        fpath = tmp_path / f"bad{suffix}"
        if content is not None:
            fpath.write_bytes(content)
        if (
            suffix == ".safetensors"
            and case not in ("missing", "empty", "broken zip")
            and not content.startswith((b"PK", b"\x80\x02"))
        ):
            words = "claims a header|damaged"
        with pytest.raises(WeightsError, match=words) as caught:
            open_weights(fpath)
        assert str(fpath) in str(caught.value)


def test_folders_and_programs(tmp_path):
    with pytest.raises(WeightsError, match="is a folder; expected a weights file"):
        open_weights(tmp_path)
    torch.save(torch.ones(3), tmp_path / "bare.pt")
    with pytest.raises(WeightsError, match="holds a Tensor; expected a state dict"):
        open_weights(tmp_path / "bare.pt")
    torch.save({"epoch": 3, "args": {"lr": 0.1}}, tmp_path / "none.pt")
    with pytest.raises(WeightsError, match="no state dict, only epoch, args"):
        open_weights(tmp_path / "none.pt")
    with zipfile.ZipFile(tmp_path / "photos.pt", "w") as archive:
        archive.writestr("cat.jpg", b"no")
    with pytest.raises(WeightsError, match=r"zip archive without weights \(cat\.jpg\)"):
        open_weights(tmp_path / "photos.pt")
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        archive.writestr("m/constants.pkl", b"")
        archive.writestr("m/data.pkl", b"")
    with pytest.raises(WeightsError, match="TorchScript program"):
        open_weights(tmp_path / "script.pt")


def test_a_compressed_archive_is_not_unpacked(tmp_path):
    torch.save(STATE, tmp_path / "a.pt")
    with (
        zipfile.ZipFile(tmp_path / "a.pt") as whole,
        zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for name in whole.namelist():
            bomb.writestr(name, whole.read(name) if not name.endswith("/0") else b"\0" * 50_000_000)
    assert (tmp_path / "bomb.pt").stat().st_size < 100_000
    with pytest.raises(WeightsError, match="would unpack to 500"):
        open_weights(tmp_path / "bomb.pt")


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_cut_and_damaged_files_are_refused_or_whole(kind, data, tmp_path):
    fpath = tmp_path / "x.bin"
    if kind == "safetensors":
        save_file(STATE, fpath)
    else:
        torch.save(STATE, fpath, _use_new_zipfile_serialization=kind == "zip")
    content = bytearray(fpath.read_bytes())
    fpath.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(WeightsError):
        open_weights(fpath)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    fpath.write_bytes(content)
    try:
        found = open_weights(fpath)
    except WeightsError:
        return
    assert all(isinstance(t, torch.Tensor) for t in found.values())


@pytest.mark.parametrize("name", ["a.safetensors", "a.bin"])
def test_safetensors_with_headers_of_any_length_are_opened(tmp_path, name):
    """The first byte of one in 32 is that of a pickle, since it is the length of the header."""
    from safetensors.torch import save

    first = set()
    for letters in range(8, 300, 8):
        data = save({"w" * letters: torch.ones(2)})
        first.add(data[0])
        (tmp_path / name).write_bytes(data)
        assert list(open_weights(tmp_path / name)) == ["w" * letters]
    assert 0x80 in first
