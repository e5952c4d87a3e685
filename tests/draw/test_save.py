"""Files: whole or not there, with the command in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import isotherm
from isotherm.draw import Scale, load_map16, read_command, save_map16, save_picture
from isotherm.errors import InputError, ShapeError
from isotherm.frame import Frame
from isotherm.heatmap import Heatmap

COMMAND = "isotherm explain 'Straße ≤ 3.jpg' --model yolo11n.pt --box 0"


def photo(h=120, w=400) -> np.ndarray:
    y, x = np.mgrid[:h, :w]
    return np.stack([x % 256, y % 256, (x + y) % 256], -1).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".webp"])
def test_the_command_is_under_the_picture_and_in_the_file(tmp_path, suffix):
    fpath = save_picture(Image.fromarray(photo()), tmp_path / f"a{suffix}", command=COMMAND)
    assert read_command(fpath) == COMMAND
    with Image.open(fpath) as image:
        out = np.asarray(image.convert("RGB"))
    assert out.shape[1] == 400
    assert 140 < out.shape[0] < 200
    assert (out[125:] < 160).any()  # letters on the strip
    assert np.abs(out[:120].astype(int) - photo()).mean() < (0 + 1e-9 if suffix == ".png" else 8)
    assert [p.name for p in tmp_path.iterdir()] == [f"a{suffix}"]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_without_a_command_the_picture_is_as_it_was(tmp_path, suffix):
    fpath = save_picture(photo(), tmp_path / f"a{suffix}")
    assert read_command(fpath) is None
    with Image.open(fpath) as image:
        assert image.size == (400, 120)


def test_transparency_stays_in_png_and_is_white_in_jpeg(tmp_path):
    rgba = np.dstack([photo(), np.zeros((120, 400), np.uint8)])
    with Image.open(save_picture(rgba, tmp_path / "a.png")) as image:
        assert image.mode == "RGBA"
        np.testing.assert_array_equal(np.asarray(image), rgba)
    with Image.open(save_picture(Image.fromarray(rgba), tmp_path / "a.jpg")) as image:
        assert np.asarray(image).min() > 250


@pytest.mark.parametrize(("dtype", "white"), [(np.uint16, 65535), (np.float32, 1)])
def test_deep_arrays_are_written_in_eight_bits(tmp_path, dtype, white):
    deep = (photo() / 255 * white).round(8).astype(dtype)
    with Image.open(save_picture(deep, tmp_path / "a.png")) as image:
        assert np.abs(np.asarray(image).astype(int) - photo()).max() <= 1


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    fpath = save_picture(photo(), tmp_path / "a.png")
    before = fpath.read_bytes()

    def half(self, file, *args, **kwargs):
        file.write(b"half a pic")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", half)
    with pytest.raises(OSError, match="disk full"):
        save_picture(photo(), fpath)
    assert fpath.read_bytes() == before
    assert list(tmp_path.iterdir()) == [fpath]


@pytest.mark.parametrize("name", ["a.tiff", "a", "nowhere/a.png"])
def test_bad_names_are_refused(tmp_path, name):
    with pytest.raises(InputError):
        save_picture(photo(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_16_bit_map_comes_back_with_scale_frame_and_holes(tmp_path):
    frame = Frame.letterbox((480, 640), (64, 64)).to_grid(stride=8)
    values = torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    values[2, 3] = torch.nan
    heatmap = Heatmap(values, frame, "relevance", signed=True, label="bus ≤ 3", meta={"layer": "model.22"})
    back = load_map16(save_map16(heatmap, tmp_path / "m.png"))
    span = float(values.nan_to_num().max() - values.nan_to_num().min())
    assert float((back.values - values).abs().nan_to_num().max()) <= 0.5001 * span / 65534 + 1e-6
    assert back.values.isnan().sum() == 1
    assert bool(back.values[2, 3].isnan())
    assert back.frame.allclose(frame)
    assert (back.kind, back.signed, back.label, dict(back.meta)) == (
        "relevance",
        True,
        "bus ≤ 3",
        {"layer": "model.22"},
    )
    with Image.open(tmp_path / "m.png") as image:
        assert image.mode == "I;16"


def test_a_16_bit_map_by_hand(tmp_path):
    heatmap = Heatmap(torch.tensor([[0.0, 0.5, 1.0, 9.0]]), Frame.resize((4, 8), (1, 4)), "peak")
    with Image.open(save_map16(heatmap, tmp_path / "m.png", scale=Scale(0.0, 1.0))) as image:
        assert np.asarray(image).tolist() == [[1, 32768, 65535, 65535]]


def test_16_bit_maps_refuse_what_they_cannot_hold(tmp_path):
    several = Heatmap(torch.rand(2, 4, 4), Frame.resize((8, 8), (4, 4)), "peak")
    with pytest.raises(ShapeError, match="heatmap\\[0\\]"):
        save_map16(several, tmp_path / "m.png")
    with pytest.raises(InputError, match=r"\.png"):
        save_map16(several[0], tmp_path / "m.jpg")
    infinite = Heatmap(torch.tensor([[0.0, torch.inf, torch.nan, -torch.inf]]), Frame.resize((4, 8), (1, 4)), "logits")
    with pytest.raises(InputError, match=r"has 2 infinite values, which a 16-bit picture cannot hold; give a scale"):
        save_map16(infinite, tmp_path / "i.png")
    assert not (tmp_path / "i.png").exists()
    with Image.open(save_map16(infinite, tmp_path / "i.png", scale=Scale(0.0, 1.0))) as image:
        assert np.asarray(image).tolist() == [[1, 65535, 0, 1]]
    save_picture(photo(), tmp_path / "p.png")
    (tmp_path / "broken.png").write_bytes(b"nothing")
    for name in ("p.png", "broken.png", "missing.png"):
        with pytest.raises(InputError, match="16-bit map"):
            load_map16(tmp_path / name)
    for name in ("broken.png", "missing.png"):
        with pytest.raises(InputError, match="cannot read"):
            read_command(tmp_path / name)


def test_files_are_read_whatever_other_packages_make_of_pillows_opener(tmp_path, monkeypatch):
    """Ultralytics replaces Image.open by one that imports a package, which may be missing, where a file is no picture."""

    def replaced(*args, **kwargs):
        raise ModuleNotFoundError("No module named 'pi_heif'")

    monkeypatch.setattr(Image, "open", replaced)
    for suffix in (".png", ".jpg", ".webp"):
        assert read_command(save_picture(photo(), tmp_path / f"p{suffix}", command="isotherm")) == "isotherm"
    (tmp_path / "broken.png").write_bytes(b"nothing")
    (tmp_path / "cut.png").write_bytes((tmp_path / "p.png").read_bytes()[:20])
    for name in ("broken.png", "cut.png"):
        with pytest.raises(InputError, match="cannot read"):
            read_command(tmp_path / name)
        with pytest.raises(InputError, match="16-bit map"):
            load_map16(tmp_path / name)


def test_no_file_of_the_package_calls_pillows_opener():
    files = Path(isotherm.__file__).parent.rglob("*.py")
    assert not [str(f) for f in files if "Image.open(" in f.read_text()]
