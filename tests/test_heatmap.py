"""Heatmaps validate what they are given and come back from files as they went."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile

import numpy as np
import pytest
import torch

from isotherm.errors import InputError, KindError, ShapeError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap

FRAME = Frame.letterbox((48, 64), (32, 32)).to_cells((1.5, 0.5), (4, 4), (8, 8))


def heatmap(batch=(), dtype=torch.float32, **kwargs):
    frame = FRAME.expanded(*batch) if batch else FRAME
    return Heatmap(
        torch.randn(*batch, 8, 8).to(dtype),
        frame,
        "relevance",
        signed=True,
        label="cat",
        meta={"layer": "x", "n": 3},
        **kwargs,
    )


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("batch", [(), (3,)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_files_give_back_what_they_got(tmp_path, suffix, batch, dtype):
    hm = heatmap(batch, dtype)
    again = Heatmap.load(hm.save(tmp_path / f"a{suffix}"))
    expected = torch.float32 if dtype == torch.bfloat16 and suffix == ".npz" else dtype
    assert again.values.dtype == expected
    torch.testing.assert_close(again.values, hm.values.to(expected), rtol=0, atol=0)
    assert again.frame.allclose(hm.frame, atol=0)
    assert again.frame.margin == hm.frame.margin != (0, 0, 0, 0)
    assert (again.kind, again.signed, again.label, dict(again.meta)) == (hm.kind, hm.signed, hm.label, dict(hm.meta))


@pytest.mark.usefixtures("unchecked")
def test_validation():
    with pytest.raises(KindError, match="expected one of"):
        Heatmap(torch.zeros(8, 8), FRAME, "heat")
    with pytest.raises(ShapeError, match="floating"):
        Heatmap(torch.zeros(8, 8, dtype=torch.long), FRAME, "peak")
    with pytest.raises(ShapeError, match="frame has"):
        Heatmap(torch.zeros(8, 9), FRAME, "peak")
    with pytest.raises(ShapeError, match="batch"):
        Heatmap(torch.zeros(2, 8, 8), FRAME.expanded(3), "peak")
    with pytest.raises(KindError, match="not signed"):
        Heatmap(torch.zeros(8, 8), FRAME, "peak", signed=True)


def test_mixing_kinds_is_an_error():
    hm = heatmap()
    assert hm.expect("relevance") is hm
    with pytest.raises(KindError, match="needs 'logits' or 'probability'"):
        hm.expect("logits", "probability")


def test_no_positive_evidence_is_known():
    assert not hm_of(-1.0).has_evidence
    assert hm_of(1.0).has_evidence


def hm_of(value):
    return Heatmap(torch.full((8, 8), value), FRAME, "relevance", signed=True)


def test_batches_index():
    hm = heatmap((3,))
    assert len(hm) == 3
    torch.testing.assert_close(hm[1].values, hm.values[1])
    assert hm[1].frame.allclose(FRAME)
    assert len(list(hm)) == 3
    with pytest.raises(ShapeError):
        len(hm[0])


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def terabyte():
    """A header that claims 1 TiB of float32."""
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (262144, 1048576), }"
    header += b" " * (64 - (10 + len(header) + 1) % 64) + b"\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("values.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    return buffer.getvalue()


BAD = {
    "empty.npz": b"",
    "text.npz": b"not an archive",
    "foreign.npz": npz(a=np.zeros(3)),
    "pickled.npz": npz(header=np.array([{"a": 1}], dtype=object)),
    "terabyte.npz": terabyte(),
    "cut.safetensors": b"\xff\xff\x00\x00\x00\x00\x00\x00{",
    "empty.safetensors": b"",
    "pickle.safetensors": pickle.dumps([1, 2]),
    "picture.png": b"x",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(BAD[name])
    with pytest.raises(InputError, match=name.split(".")[0] if "tera" not in name else "at most"):
        Heatmap.load(tmp_path / name)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_file_cut_short_is_refused(tmp_path, suffix):
    whole = heatmap().save(tmp_path / f"whole{suffix}").read_bytes()
    for length in (10, len(whole) // 2, len(whole) - 5):
        (tmp_path / f"cut{suffix}").write_bytes(whole[:length])
        with pytest.raises(InputError):
            Heatmap.load(tmp_path / f"cut{suffix}")


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    fpath = heatmap().save(tmp_path / "a.npz")
    before = fpath.read_bytes()

    def fail(*_args, **_kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="disk full"):
        heatmap().save(fpath)
    assert fpath.read_bytes() == before
    assert [f.name for f in tmp_path.iterdir()] == ["a.npz"]


def test_saving_elsewhere_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match="create it first"):
        heatmap().save(tmp_path / "no" / "a.npz")
    with pytest.raises(InputError, match=r"\.npz or \.safetensors"):
        heatmap().save(tmp_path / "a.jpg")
    with pytest.raises(InputError, match="no heatmap file"):
        Heatmap.load(tmp_path / "none.npz")


class Running:
    """What runs code where somebody unpickles it."""

    def __init__(self, fpath):
        self.fpath = fpath

    def __reduce__(self):
        return open, (str(self.fpath), "w")


def test_nothing_runs_while_an_array_is_read(tmp_path):
    mark = tmp_path / "it ran"
    (tmp_path / "a.npz").write_bytes(npz(header=np.array([Running(mark)], dtype=object)))
    with pytest.raises(InputError):
        Heatmap.load(tmp_path / "a.npz")
    assert not mark.exists()
