"""The counting notebook's calls: its cells as they are, arrays for imshow, and maps that peak on what was planted."""

from __future__ import annotations

import re

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from isotherm.api import open_model
from isotherm.data.shape_questions import COLOURS, draw_shapes
from isotherm.errors import AdapterError, MethodError, OptionError, TargetError
from isotherm.heatmap import Heatmap
from isotherm.systems import vlm_gradcam
from isotherm.systems.counting_config import CountingConfig, CountPrompts
from isotherm.systems.vlm_gradcam import VLMGradCAM

TOKEN = 8.0
"""Of the shipped model, in pixels."""


@pytest.fixture(scope="module")
def model():
    return VLMGradCAM("tiny-vlm")


def planted(seed, side=48):
    """A picture with one object of a category among two of others, and its centre (x, y)."""
    rng = np.random.Generator(np.random.PCG64([5, seed]))
    colours = np.array([seed % 4, (seed + 1) % 4, (seed + 2) % 4])
    picture, centres, _ = draw_shapes(rng, rng.integers(0, 3, 3), colours, rng.uniform(4, 5.5, 3), side=side)
    return picture, list(COLOURS)[seed % 4], centres[0]


def peak(values):
    """The middle of what is largest, (x, y)."""
    ys, xs = np.nonzero(values == values.max())
    return np.array([xs.mean() + 0.5, ys.mean() + 0.5])


def width_of(fpath):
    with Image.open(fpath) as figure:
        return figure.width


# --- the notebook's cells: only the import line and the paths are others ------------------------------------

CELLS = {
    "basic use": """
from isotherm.systems.vlm_gradcam import VLMGradCAM
from PIL import Image
import matplotlib.pyplot as plt

vlm = VLMGradCAM()
image = Image.open("picture.png")
gradcam = vlm.generate_gradcam(image, "red")
plt.imshow(image)
plt.imshow(gradcam, cmap="jet", alpha=0.5)
plt.close()
""",
    "custom crops": """
width, height = image.size
crops = [
    (0, 0, width // 2, height // 2),
    (width // 2, 0, width, height // 2),
    (0, height // 2, width // 2, height),
    (width // 2, height // 2, width, height),
]
maps = [vlm.generate_gradcam(image, "red", crop_bbox=crop) for crop in crops]
for crop, crop_map in zip(crops, maps):
    if crop_map is not None:
        plt.imshow(image.crop(crop))
        plt.imshow(crop_map, cmap="jet", alpha=0.5)
        plt.close()
""",
    "three panels": """
fig, axes = plt.subplots(1, 3, figsize=(15, 5))
axes[0].imshow(image)
axes[0].set_title("Original")
axes[1].imshow(gradcam, cmap="jet")
axes[1].set_title("Grad-CAM")
axes[2].imshow(image)
axes[2].imshow(gradcam, cmap="jet", alpha=0.5)
axes[2].set_title("Overlay")
for ax in axes:
    ax.axis("off")
plt.savefig("panels.png")
plt.close()
""",
    "strategies": """
for strategy in ["comparison", "dense", "hybrid"]:
    vlm.visualize_counting_attention(image, "red", strategy=strategy, output_path=f"{strategy}.png")
vlm.visualize_comparison(image, "red", "compared.png")
""",
}


def test_the_notebooks_cells_run_as_they_are(model, tmp_path, monkeypatch):
    mpl.use("Agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(vlm_gradcam, "DEFAULT_MODEL", model.view)  # the notebook names none
    Image.fromarray(planted(0, side=96)[0]).save("picture.png")
    names: dict = {}
    for cell in CELLS.values():
        exec(cell, names)
    assert names["gradcam"].shape == (96, 96)
    assert [m.shape for m in names["maps"] if m is not None]
    assert {m.shape for m in names["maps"] if m is not None} == {(48, 48)}
    assert {f.name for f in tmp_path.iterdir()} >= {"panels.png", "compared.png"}
    assert min(width_of(tmp_path / f"{name}.png") for name in ("comparison", "dense", "hybrid")) > 800


# --- what the calls give -------------------------------------------------------------------------------------


def test_the_map_peaks_on_what_was_planted(model):
    for seed in range(len(COLOURS)):
        picture, category, centre = planted(seed)
        values = model.generate_gradcam(picture, category)
        assert values.dtype == np.float32
        assert values.shape == (48, 48)
        assert (values.min() >= 0, values.max()) == (True, 1)
        assert np.abs(peak(values) - centre).max() <= TOKEN, seed


def test_the_map_of_every_crop_peaks_on_what_was_planted(model):
    seen = 0
    for seed in range(4):
        picture, category, centre = planted(seed, side=96)
        for corner in ((x, y) for x in (0, 24, 48) for y in (0, 24, 48)):
            if ((centre - corner > 6) & (centre - corner < 42)).all():
                box = (*corner, corner[0] + 48, corner[1] + 48)
                values = model.generate_gradcam(picture, category, crop_bbox=box)
                assert values.shape == (48, 48)
                assert np.abs(peak(values) + corner - centre).max() <= TOKEN, (seed, box)
                seen += 1
    assert seen >= 4


def test_it_is_gradcam_unless_another_method_is_named(model):
    picture, category, _ = planted(1)
    assert model.heatmap(picture, category).meta["method"] == "gradcam"
    better = VLMGradCAM(model.view, method="propagation")
    assert better.heatmap(picture, category).meta["method"] == "propagation"
    assert model.heatmap(picture, category, method="attention_gradient").meta["method"] == "attention_gradient"
    configured = VLMGradCAM(model.view, config=CountingConfig(method="propagation"))
    assert configured.heatmap(picture, category).meta["method"] == "propagation"
    own, other = (model.generate_gradcam(picture, category, method=m) for m in (None, "propagation"))
    assert np.abs(own - other).max() > 0.05
    signed = model.generate_gradcam(picture, category, method="integrated_gradients")
    assert (signed.min(), signed.max()) == (0, 1)


def test_the_heatmap_itself_lies_over_the_whole_picture(model):
    picture, category, _ = planted(2, side=96)
    crop = model.heatmap(Image.fromarray(picture), category, crop_bbox=(0, 16, 64, 64))
    assert isinstance(crop, Heatmap)
    assert crop.frame.source_size.tolist() == [96, 96]
    assert crop.meta["box"] == [0, 16, 64, 64]
    values = model.generate_gradcam(picture, category, crop_bbox=(0.4, 16, 63.2, 64))
    assert values.shape == (48, 64)
    on_pixels = crop.at_source(region=(0, 16, 64, 64)).numpy()
    np.testing.assert_allclose(values, on_pixels / on_pixels.max(), atol=1e-6)


def test_without_a_map_there_is_none_and_the_log_says_why(model, monkeypatch, logged):
    picture, category, _ = planted(0)
    where = CountingConfig(prompts=CountPrompts(whole="where is {category} ?"))
    placing = VLMGradCAM(model.view, config=where)
    assert placing.generate_gradcam(picture, category) is None
    assert re.search("no map for 'red': tiny-vlm.* answers '[a-z-]+': no map: ", logged())
    with pytest.raises(TargetError, match=r"answers '[a-z-]+': no map: "):
        placing.heatmap(picture, category)
    flat = model.heatmap(picture, category)
    assert "speaks for it" not in logged()
    monkeypatch.setattr(vlm_gradcam.Heatmap, "at_source", lambda self, region: flat.values * 0)
    assert model.generate_gradcam(picture, category) is None
    assert "nothing in whole picture speaks for it" in logged()


def test_figures_are_written_where_a_path_is_given(model, tmp_path):
    picture, category, _ = planted(0, side=96)
    compared = model.visualize_comparison(picture, category, tmp_path / "compared.png", crop_bbox=(0, 0, 64, 48))
    assert compared.looks[1].view.box == (0, 0, 64, 48)
    assert width_of(tmp_path / "compared.png") > 800
    assert [one.view.name for one in model.visualize_counting_attention(picture, category).looks] == [
        "whole picture",
        "middle",
    ]
    assert len(list(tmp_path.iterdir())) == 1


def test_mistakes_are_named_before_a_model_is_opened(model, monkeypatch):
    monkeypatch.setattr(vlm_gradcam, "open_model", lambda *a, **k: pytest.fail("opened"))
    with pytest.raises(MethodError, match="there is no method 'gradcan'"):
        VLMGradCAM("tiny-vlm", method="gradcan")
    monkeypatch.undo()
    with pytest.raises(AdapterError, match="answers no questions"):
        VLMGradCAM("scenes")
    with pytest.raises(OptionError, match="reaches outside of the picture"):
        model.generate_gradcam(planted(0)[0], "red", crop_bbox=(0, 0, 60, 48))


def test_without_arguments_it_is_the_notebooks_model(model, monkeypatch):
    opened = []
    monkeypatch.setattr(vlm_gradcam, "open_model", lambda name, **options: opened.append((name, options)) or model.view)
    VLMGradCAM()
    VLMGradCAM("folder/of/a/model", device="cuda:1")
    assert opened == [("Qwen/Qwen3-VL-2B-Instruct", {}), ("folder/of/a/model", {"device": "cuda:1"})]


def test_any_name_or_view_is_taken_and_asked_in_its_own_words():
    named = VLMGradCAM("tiny-vlm", weights="none")
    assert named.view.name == "tiny-vlm, random weights of seed 0"
    view = open_model("tiny-vlm")
    assert VLMGradCAM(view).view is view
    assert VLMGradCAM(view).count(planted(0)[0], "red", "global").looks[0].prompt == "how many red ?"
