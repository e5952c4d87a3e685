"""The heatmap detector's network: what its maps mean, where its cells lie, its files."""

from __future__ import annotations

import json
import math

import pytest
import torch
from safetensors.torch import save_file

from isotherm import targets
from isotherm.errors import OptionError, WeightsError
from isotherm.frame import Frame
from isotherm.models.backbone import check_backbone
from isotherm.zoo.detector.network import (
    DetectorMaps,
    HeatmapDetector,
    HeatmapDetectorConfig,
    find_centres,
    load_detector,
    random_detector,
    save_detector,
)

CONFIG = HeatmapDetectorConfig(names=("a", "b", "c"), size=(64, 96), widths=(8, 16), depth=1, hidden=8)


def test_a_finding_by_hand():
    """Cell (2, 3) of 4 x 4 pixels, a quarter of a cell from its left edge and three quarters from its top, 5 by 10 cells."""
    model = random_detector(CONFIG, 0)
    maps = DetectorMaps(torch.zeros(1, 3, 16, 24), torch.zeros(1, 2, 16, 24), torch.zeros(1, 2, 16, 24))
    maps.log_size[0, 0, 2, 3] = math.log(0.5)
    maps.offset[0, :, 2, 3] = torch.tensor([0.25, 0.75])
    found = model.boxes_at(maps, torch.tensor([0]), torch.tensor([2 * 24 + 3]))
    torch.testing.assert_close(found, torch.tensor([[13.0 - 10, 11.0 - 20, 13.0 + 10, 11.0 + 20]]))


def test_sizes_that_nobody_trained_do_not_overflow():
    model = random_detector(CONFIG, 0)
    maps = DetectorMaps(torch.zeros(1, 3, 16, 24), torch.full((1, 2, 16, 24), 1e4), torch.zeros(1, 2, 16, 24))
    assert torch.isfinite(model.boxes_at(maps, torch.tensor([0]), torch.tensor([0]))).all()


@pytest.mark.parametrize("source", [(64, 96), (480, 640), (300, 90)])
def test_what_is_encoded_is_decoded(source):
    """The targets of boxes, read as if the network had said them, are the boxes, in pictures of any shape."""
    model = random_detector(CONFIG, 0)
    generator = torch.Generator().manual_seed(1)
    frame = Frame.letterbox(source, CONFIG.size)
    h, w = source
    corner = torch.cartesian_prod(torch.arange(2.0), torch.arange(3.0)).flip(
        1
    )  # one centre in each sixth, so no two share a cell
    centre = (
        (corner + 0.4 + 0.2 * torch.rand(6, 2, generator=generator)) / torch.tensor([3.0, 2.0]) * torch.tensor([w, h])
    )
    half = min(source) * (0.02 + 0.2 * torch.rand(6, 2, generator=generator))
    boxes, classes = torch.cat([centre - half, centre + half], 1), torch.tensor([0, 1, 2, 0, 1, 2])
    target = targets.boxes(boxes, model.output_frame(frame), classes=classes, count=3, centre="cell")
    assert int(target.supervised.sum()) == 6
    maps = DetectorMaps(
        torch.logit(target.centres.heatmap.values, eps=1e-4)[None],
        torch.where(target.supervised, target.size, 1.0).div(CONFIG.typical).log()[None],
        target.offset[None],
    )
    found = find_centres(maps.logits, most=6)
    rows = torch.zeros(6, dtype=torch.long)
    decoded = frame.boxes_to_source(model.boxes_at(maps, rows, found.cell[0])).float()
    again = {(int(k), *(round(float(x), 2) for x in b)) for k, b in zip(found.classes[0], decoded, strict=True)}
    assert again == {(int(k), *(round(float(x), 2) for x in b)) for k, b in zip(classes, boxes, strict=True)}


def test_centres_are_local_maxima_of_their_own_class():
    logits = torch.full((2, 2, 5, 6), -9.0)
    logits[0, 0, 1, 1], logits[0, 0, 1, 2], logits[0, 0, 4, 5] = 3.0, 2.0, 1.0  # the second is next to a higher one
    logits[0, 1, 1, 2] = 2.5  # of another class, it stays
    logits[1, 0, 2, 2] = logits[1, 0, 2, 3] = 1.5  # of equals the first
    found = find_centres(logits, most=3)
    assert found.classes[0].tolist() == [0, 1, 0]
    assert found.cell[0].tolist() == [7, 8, 29]
    torch.testing.assert_close(found.score[0], torch.sigmoid(torch.tensor([3.0, 2.5, 1.0])))
    assert found.cell[1, 0].tolist() == 14
    assert float(found.score[1, 1]) < 1e-3
    with pytest.raises(OptionError, match="at least 1"):
        find_centres(logits, most=0)


def test_cells_lie_where_the_strides_say():
    model = random_detector(CONFIG, 3)
    check_backbone(model.backbone, size=CONFIG.size)
    assert model.output_frame(Frame.identity(CONFIG.size)).size == (16, 24)
    assert model.output_frame(Frame.identity(CONFIG.size)).points_to_source(torch.tensor([[3.5, 2.5]])).tolist() == [
        [14.0, 10.0]
    ]
    # turned upside down, a head with weights that are symmetric says the same: nothing shifts on the way up
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim == 4 and p.shape[-1] > 1:
                p.copy_((p + p.flip(-1)) / 2)
        x = torch.rand(1, 3, *CONFIG.size, generator=torch.Generator().manual_seed(0))
        there, mirrored = model(x), model(x.flip(-1))
    torch.testing.assert_close(mirrored.logits.flip(-1), there.logits, atol=1e-4, rtol=1e-4)


def test_an_untrained_detector_says_a_tenth_everywhere():
    with torch.no_grad():
        maps = random_detector(CONFIG, 0)(torch.rand(2, 3, *CONFIG.size))
    assert float((maps.logits.sigmoid() - 0.1).abs().max()) < 0.02
    assert float((maps.offset - 0.5).abs().max()) < 0.2
    assert float(maps.log_size.abs().max()) < 0.2


def test_files_come_back_as_they_went(tmp_path):
    model = random_detector(CONFIG, 1)
    again = load_detector(save_detector(model, tmp_path / "net.safetensors"))
    assert again.config == CONFIG
    assert not again.training
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value.half().float())


def test_files_that_are_no_detector_are_refused(tmp_path):
    with pytest.raises(
        WeightsError,
        match=r"there is no file .*missing\.safetensors, expected a heatmap detector.*isotherm train detector",
    ):
        load_detector(tmp_path / "missing.safetensors")
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="is not a heatmap detector of isotherm: its format is None"):
        load_detector(tmp_path / "other.safetensors")
    whole = save_detector(random_detector(CONFIG, 1), tmp_path / "net.safetensors").read_bytes()
    (tmp_path / "broken.safetensors").write_bytes(whole[:1000])
    with pytest.raises(WeightsError, match="cannot be read"):
        load_detector(tmp_path / "broken.safetensors")
    header = json.dumps({"format": "isotherm.heatmap_detector/1", "names": ["a"], "colour": 3})
    save_file({"a": torch.zeros(2)}, tmp_path / "wrong.safetensors", metadata={"isotherm": header})
    with pytest.raises(WeightsError, match="cannot be read"):
        load_detector(tmp_path / "wrong.safetensors")


def test_random_networks_are_seeded_and_leave_the_global_state_alone():
    before = torch.get_rng_state()
    one, two, three = (random_detector(CONFIG, seed).head.centres[0].weight for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(one, two)
    assert not torch.equal(one, three)


@pytest.mark.parametrize(
    "change", [{"names": ()}, {"size": (64, 90)}, {"widths": ()}, {"hidden": 12}, {"typical": 0.0}]
)
def test_wrong_configurations_are_refused(change, unchecked):
    with pytest.raises(OptionError):
        HeatmapDetectorConfig(**{"names": ("a",), **change})


def test_one_stage_needs_no_transposed_convolution():
    model = HeatmapDetector(HeatmapDetectorConfig(names=("a",), size=(32, 32), widths=(8,), depth=1, hidden=8))
    assert tuple(model(torch.zeros(1, 3, 32, 32)).logits.shape) == (1, 1, 8, 8)
