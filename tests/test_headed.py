"""Files of tensors with a header: what was written comes back, earlier files are read, and what is wrong is named."""

from __future__ import annotations

import json
import pickle
import struct

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from isotherm.errors import FrameError, InputError, MissingExtraError, OptionError, WeightsError
from isotherm.headed import HeadedFile

KIND = HeadedFile(format="test.thing/1", noun="a thing", advice="make one: thing --out {fpath}")
HALVED = HeadedFile(format="test.thing/1", noun="a thing", half=True)


def test_tensors_and_header_come_back(tmp_path):
    tensors = {"a": torch.tensor([[1.0, 2.0], [3.0, 1 / 3]]).T, "n": torch.tensor([7])}
    fpath = KIND.write(tmp_path / "a.safetensors", tensors, {"names": ("x", "y"), "path": tmp_path})
    found = KIND.read(fpath)
    assert found.header == {"names": ["x", "y"], "path": str(tmp_path)}
    assert torch.equal(found.tensors["a"], tensors["a"])
    assert found.tensors["n"].tolist() == [7]
    assert [f.name for f in tmp_path.iterdir()] == ["a.safetensors"]


def test_half_on_the_disk_is_single_in_memory_and_whole_numbers_stay(tmp_path):
    fpath = HALVED.write(tmp_path / "a.safetensors", {"a": torch.tensor([1 / 3]), "n": torch.tensor([70_000])})
    plain = KIND.read(fpath).tensors
    assert plain["a"].dtype == torch.float16
    found = HALVED.read(fpath).tensors
    assert found["a"].dtype == torch.float32
    assert found["a"].item() == torch.tensor(1 / 3).half().float().item()
    assert found["n"].tolist() == [70_000]


def test_files_with_the_format_in_an_entry_of_its_own_are_read(tmp_path):
    """As keypoint models and tiny-vlm wrote them."""
    fpath = tmp_path / "a.safetensors"
    save_file({"a": torch.ones(1)}, fpath, metadata={"format": "test.thing/1", "facts": json.dumps({"seed": 3})})
    assert KIND.read(fpath).header == {"seed": 3}


def claimed(tmp_path, shape):
    """A file whose header claims a shape, with no bytes behind it."""
    text = json.dumps(
        {
            "__metadata__": {"isotherm": json.dumps({"format": "test.thing/1"})},
            "a": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]},
        }
    ).encode()
    (tmp_path / "claims.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    return tmp_path / "claims.safetensors"


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (b"", "cannot be read as a thing"),
        (b"nothing", "cannot be read as a thing"),
        (pickle.dumps([1, 2]), "cannot be read as a thing"),
        (None, r"there is no file .*a\.safetensors, expected a thing; make one: thing --out .*a\.safetensors"),
    ],
    ids=["empty", "short", "pickle", "missing"],
)
def test_bad_files(tmp_path, bad, says):
    if bad is not None:
        (tmp_path / "a.safetensors").write_bytes(bad)
    with pytest.raises(WeightsError, match=says):
        KIND.read(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        (None, r"a\.safetensors is not a thing: its format is None, expected 'test.thing/1'"),
        ({"isotherm": json.dumps({"format": "test.thing/2"})}, "its format is 'test.thing/2', expected 'test.thing/1'"),
        ({"isotherm": "[1]"}, r"a\.safetensors cannot be read as a thing .*header is list"),
        ({"isotherm": "{"}, r"a\.safetensors cannot be read as a thing"),
        ({"isotherm": "[" * 100_000}, r"a\.safetensors cannot be read as a thing"),
        ({"format": "test.thing/1", "facts": "3"}, r"a\.safetensors cannot be read as a thing"),
    ],
    ids=["none", "version", "list", "cut", "deep", "number"],
)
def test_headers_of_something_else(tmp_path, metadata, says):
    save_file({"a": torch.ones(1)}, tmp_path / "a.safetensors", metadata=metadata)
    with pytest.raises(WeightsError, match=says):
        KIND.read(tmp_path / "a.safetensors")


def test_more_values_than_are_read_are_refused_before_memory_is_asked_for(tmp_path):
    few = HeadedFile(format="test.thing/1", noun="a thing", error=InputError, most=10)
    fpath = KIND.write(tmp_path / "a.safetensors", {"a": torch.ones(2, 6)})
    with pytest.raises(InputError, match=r"a\.safetensors: array 'a' claims 12 values; at most 10 are read"):
        few.read(fpath)
    with pytest.raises(InputError):
        few.read(claimed(tmp_path, [1 << 20, 1 << 20]))


def test_a_failed_write_leaves_the_old_file(tmp_path):
    fpath = KIND.write(tmp_path / "a.safetensors", {"a": torch.ones(1)})
    before = fpath.read_bytes()
    shared = torch.ones(4)
    with pytest.raises(RuntimeError):  # safetensors keeps nothing twice
        KIND.write(fpath, {"a": shared, "b": shared})
    assert fpath.read_bytes() == before
    assert [f.name for f in tmp_path.iterdir()] == ["a.safetensors"]


def test_what_is_made_of_a_header_fails_with_the_name_of_the_file():
    for error in (KeyError("names"), FrameError("too small"), OptionError("no such head"), TypeError("x")):
        with (
            pytest.raises(WeightsError, match=r"a\.safetensors cannot be read as a thing"),
            KIND.reading("a.safetensors"),
        ):
            raise error
    with pytest.raises(MissingExtraError), KIND.reading("a.safetensors"):  # no fault of the file
        raise MissingExtraError("timm", "models", "a backbone")


def test_models_are_filled_or_what_does_not_fit_is_named(tmp_path):
    model, other = nn.Linear(2, 1), nn.Linear(2, 1)
    KIND.fill(other, model.state_dict(), "a.safetensors")
    assert torch.equal(model.weight, other.weight)
    KIND.fill(other, {"bias": torch.full((1,), 5.0)}, "a.safetensors", spare={"weight"})
    assert other.bias.item() == 5
    wrong = {"weight": torch.ones(2, 2), "colour": torch.ones(1)}
    says = r"a\.safetensors cannot be read as a thing: it does not fit .* missing \['bias'\], unknown \['colour'\], of another shape \['weight'\]"
    with pytest.raises(WeightsError, match=says):
        KIND.fill(other, wrong, "a.safetensors")
