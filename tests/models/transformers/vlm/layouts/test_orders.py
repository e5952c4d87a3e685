"""Orders of vision tokens beyond one picture's: frames of videos, Qwen's windows, rows of OneVision that go over several tiles."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from isotherm.errors import AdapterError, ShapeError
from isotherm.models.transformers.vlm.families import layout_of
from isotherm.models.transformers.vlm.layouts.layout import VisionLayout, check_layout, coordinate_picture
from isotherm.models.transformers.vlm.layouts.onevision import OneVisionLayout
from isotherm.models.transformers.vlm.layouts.qwen import QwenLayout, reading_order, window_index, window_order
from isotherm.models.transformers.vlm.proof import image_token_id, picture_positions, video_token_id
from isotherm.vlm.tokens import PictureTokens, TokenGrid
from rigs.vlm_models import FAMILIES, asked
from rigs.vlm_parts import HALF, MIXED

SEEING_VIDEOS = ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "llava_onevision"]


def filmed(name, size=(40, 72), count=5, **options):
    """(model, layout, inputs) of a video whose frames say where they are in red and green and when in blue."""
    model, processor = FAMILIES[name]()
    frames = np.stack([coordinate_picture(size) for _ in range(count)])
    frames[..., 2] = (40 * np.arange(count) + 20)[:, None, None]
    facts = {"fps": 2.0, "total_num_frames": 10 * count, "frames_indices": [10 * k for k in range(count)]}
    mark = (
        processor.video_token
        if name in ("qwen3_vl", "llava_onevision")
        else f"<|vision_start|>{processor.video_token}<|vision_end|>"
    )
    inputs = processor(
        text=[f"{mark} how many red ?"], videos=[frames], video_metadata=[facts], return_tensors="pt", **options
    )
    return model, layout_of(model.config.model_type, model.config, processor), inputs


class Moments(VisionLayout):
    """A video's moments as pictures, so that what proves pictures proves them."""

    def __init__(self, layout):
        self.layout = layout

    def pictures(self, inputs, sizes):
        (video,) = self.layout.videos(inputs, sizes[:1])
        return [
            PictureTokens(m.size, tuple(TokenGrid(g.frame, g.token - k * m.count) for g in m.grids), m.count)
            for k, m in enumerate(video.moments)
        ]

    def pixels(self, inputs, sizes):
        (video,) = self.layout.videos(inputs, sizes[:1])
        (means,) = self.layout.video_pixels(inputs, sizes[:1])
        return [means[torch.cat([grid.token.flatten() for grid in m.grids])] for m in video.moments]


# --- videos -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SEEING_VIDEOS)
def test_a_videos_tokens_lie_where_and_when_the_layout_says(name):
    size, per_moment = (40, 72), 1 if name == "llava_onevision" else 2
    model, layout, inputs = filmed(name, size)
    (video,) = layout.videos(inputs, [size])
    assert len(video.moments) == -(-5 // per_moment)
    assert check_layout(Moments(layout), inputs, [size] * len(video.moments), mean=HALF, std=HALF) < 0.2
    assert video.count == len(picture_positions(inputs["input_ids"], video_token_id(model.config)))
    tokens = torch.cat([grid.token.flatten() for moment in video.moments for grid in moment.grids])
    assert tokens.tolist() == list(range(video.count - (name == "llava_onevision")))  # the end stands for no place
    (means,) = layout.video_pixels(inputs, [size])
    blue = (means[:, 2] * 0.5 + 0.5) * 255
    shown = [20, 60, 100, 140, 180] if per_moment == 1 else [40, 120, 180]  # the fifth frame fills up the last moment
    for moment, expected in zip(video.moments, shown, strict=True):
        assert blue[moment.grids[0].token.flatten()].numpy() == pytest.approx(expected, abs=1.5)
    assert len(means) == video.count


@pytest.mark.parametrize("name", SEEING_VIDEOS)
def test_what_a_model_makes_of_a_moment_is_where_its_tokens_are(name):
    """With an even picture in every frame, tokens of a moment that is changed change, and no others, with attention that passes nothing on."""
    model, layout, inputs = filmed(name)
    for part, module in model.named_modules():
        if ("visual" in part or "vision_tower" in part) and part.endswith(("attn.proj", "out_proj")):
            torch.nn.init.zeros_(module.weight)
    (video,) = layout.videos(inputs, [(40, 72)])

    def made(values):
        with torch.no_grad():
            grids = {"video_grid_thw": inputs["video_grid_thw"]} if "video_grid_thw" in inputs else {}
            found = model.model.get_video_features(values, **grids, return_dict=True).pooler_output
        return found[0]

    values = inputs["pixel_values_videos"]
    before = made(values)
    assert len(before) == video.count
    for k, moment in enumerate(video.moments):
        changed = values.clone()
        part = changed[0, k] if name == "llava_onevision" else changed.view(len(video.moments), -1, values.shape[-1])[k]
        part += 0.3 * torch.rand(part.shape)
        moved = (made(changed) - before).abs().amax(1) > 1e-6
        assert moved.nonzero().flatten().tolist() == moment.grids[0].token.flatten().tolist()


def test_times_of_moments():
    """By hand: frames 0, 10, .. 40 at two a second are at 0, 5, .. 20 s; two to a moment, the last one twice."""
    for name in ("qwen2_vl", "qwen2_5_vl", "qwen3_vl"):
        _, layout, inputs = filmed(name, return_metadata=True)
        (video,) = layout.videos(inputs, [(40, 72)])
        assert video.times_s == (2.5, 12.5, 20.0)
        assert video.frames == ((0, 10), (20, 30), (40, 40))
    _, layout, inputs = filmed("qwen2_5_vl")  # it says seconds per moment, 10 s here, as if the last one were whole
    assert layout.videos(inputs, [(40, 72)])[0].times_s == pytest.approx((2.5, 12.5, 22.5))
    assert layout.videos(inputs, [(40, 72)])[0].frames is None
    _, layout, inputs = filmed("qwen2_vl")
    assert layout.videos(inputs, [(40, 72)])[0].times_s is None
    _, layout, inputs = filmed("llava_onevision", return_metadata=True)
    assert layout.videos(inputs, [(40, 72)])[0].times_s == (0, 5, 10, 15, 20)


def test_qwen3s_video_tokens_are_not_contiguous():
    """Each moment is announced by its time, in words."""
    model, layout, inputs = filmed("qwen3_vl")
    places = picture_positions(inputs["input_ids"], video_token_id(model.config))
    count = layout.videos(inputs, [(40, 72)])[0].moments[0].count
    gaps = (places.diff() > 1).nonzero().flatten() + 1
    assert gaps.tolist() == [count, 2 * count]


def test_bad_videos():
    _, layout, inputs = filmed("qwen2_vl")
    with pytest.raises(ShapeError, match="holds 1 videos; 2 sizes"):
        layout.videos(inputs, [(40, 72)] * 2)
    _, layout, inputs = filmed("llava_onevision")
    with pytest.raises(ShapeError, match="holds 1 videos; 2 sizes"):
        layout.videos(inputs, [(40, 72)] * 2)
    model, processor = FAMILIES["internvl"]()
    with pytest.raises(
        AdapterError, match="tokens of a video stand for is not known of InternLayout; give it frames as pictures"
    ):
        layout_of("internvl", model.config, processor).videos({}, [])
    with pytest.raises(ShapeError, match="2 temporal patches; this is a video"):
        QwenLayout(patch=4, merge=2).pictures({"image_grid_thw": torch.tensor([[2, 4, 4]])}, [(16, 16)])


# --- Qwen's windows -----------------------------------------------------------------------------------------------------------------------


def test_windows_in_order():
    """By hand: 3 x 3 tokens in windows of 2 x 2: a whole one, one of a column, one of a row, one of one."""
    index = window_index(torch.tensor([[1, 6, 6]]), merge=2, window=2)
    assert index.tolist() == [0, 1, 3, 4, 2, 5, 6, 7, 8]
    windowed = torch.arange(36).view(9, 4)[index].flatten()
    assert torch.equal(windowed[window_order(index)], torch.arange(36))


@pytest.mark.parametrize("grids", [[[1, 6, 6]], [[1, 8, 4], [1, 6, 14]], [[3, 6, 10]]])
def test_windows_are_those_of_transformers(grids):
    from transformers.vision_utils import get_vision_window_index

    theirs, _ = get_vision_window_index(torch.tensor(grids), spatial_merge_size=2, window_size=16, patch_size=4)
    assert torch.equal(window_index(torch.tensor(grids), merge=2, window=2), theirs)


def telling(name):
    """The model with a vision tower whose patches' first three states are their mean colour, and whose blocks add nothing."""
    model, processor = FAMILIES[name]()
    tower = model.model.visual
    torch.nn.init.zeros_(tower.patch_embed.proj.weight)
    if tower.patch_embed.proj.bias is not None:
        torch.nn.init.zeros_(tower.patch_embed.proj.bias)
    for c in range(3):
        torch.nn.init.constant_(tower.patch_embed.proj.weight[c, c], 1 / 32)
    for part, module in tower.blocks.named_modules():
        if part.endswith(("attn.proj", "down_proj", "fc2", "linear_fc2")):
            torch.nn.init.zeros_(module.weight)
            torch.nn.init.zeros_(module.bias)
    if hasattr(tower, "pos_embed"):
        torch.nn.init.zeros_(tower.pos_embed.weight)
    return model, processor, tower


@pytest.mark.parametrize("name", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_states_of_a_tower_in_reading_order(name):
    """The patches' own colours say where they are, in what the last block gives."""
    _, processor, tower = telling(name)
    sizes = [(40, 72), (64, 48)]
    inputs = asked(processor, name, [Image.fromarray(coordinate_picture(size)) for size in sizes])
    with torch.no_grad():
        states = tower(inputs["pixel_values"], grid_thw=inputs["image_grid_thw"], return_dict=True).last_hidden_state
    grids = inputs["image_grid_thw"]
    index = window_index(grids, merge=2, window=2) if name == "qwen2_5_vl" else None
    for part, (h, w) in zip(reading_order(states, grids, merge=2, index=index), grids[:, 1:].tolist(), strict=True):
        assert part.shape[:3] == (1, h, w)
        x, y = (part[0, :, :, c] * 0.5 + 0.5 for c in (0, 1))
        assert (x - (torch.arange(w) + 0.5) / w).abs().max() < 0.5 / w
        assert (y - ((torch.arange(h) + 0.5) / h)[:, None]).abs().max() < 0.5 / h
    h, w = grids[0, 1:].tolist()
    for wrong in (
        states[: h * w].view(h, w, -1),
        reading_order(states, grids, merge=2)[0][0] if name == "qwen2_5_vl" else states[: h * w].view(h, w, -1),
    ):
        assert (wrong[..., 0] * 0.5 + 0.5 - (torch.arange(w) + 0.5) / w).abs().max() > 2 / w
    with pytest.raises(ShapeError, match=r"there are 4 states; the grids \[\[1, 4, 4\]\] have 16 patches"):
        reading_order(torch.zeros(4, 2), torch.tensor([[1, 4, 4]]), merge=2)


# --- OneVision's rows ---------------------------------------------------------------------------------------------------------------------


def onevision(**changed):
    canvases = [(384 * i, 384 * j) for i in range(1, 7) for j in range(1, 7)]
    return OneVisionLayout(**({"side": 384, "patch": 14, "canvases": canvases} | changed))


def test_rows_that_go_over_tiles():
    """By hand, at full size: 27 x 27 tokens of the whole, two tiles beside each other, 54 tokens and an end in a row."""
    (picture,) = onevision().pictures({"pixel_values": [0]}, [(384, 768)])
    assert picture.count == 729 + 27 * 55
    base, left, right = picture.grids
    assert base.frame.boxes_to_source(torch.tensor([[0.0, 0.0, 27.0, 27.0]])).tolist() == [[0, 0, 756, 378]]
    assert left.token[1, :2].tolist() == [729 + 55, 729 + 56]
    assert right.token[0, 0] == 729 + 27
    assert left.frame.boxes_to_source(torch.tensor([[26.0, 0.0, 27.0, 1.0]])).tolist() == [[364, 0, 378, 14]]
    assert right.frame.boxes_to_source(torch.tensor([[0.0, 0.0, 1.0, 1.0]])).tolist() == [
        [384, 0, 398, 14]
    ]  # six pixels are in no token
    assert not picture.seen()[:, 756:].all()
    assert picture.seen()[:378, :756].all()


def test_rows_that_are_shrunk():
    """By hand: 36 tiles, 162 x 162 tokens, four times the room of nine: each token the mean of two by two, and those across a border of two tiles'."""
    (picture,) = onevision().pictures({"pixel_values": [0]}, [(2304, 2304)])
    assert picture.count == 729 + 81 * 82
    grids = {int(grid.token[0, 0]) - 729: grid for grid in picture.grids[1:]}
    assert len(grids) == 9 * 9  # six tiles, of which 27 tokens make 13 and a half, so three times one across a border
    assert grids[0].frame.size == (13, 13)
    assert grids[0].frame.boxes_to_source(torch.tensor([[12.0, 0.0, 13.0, 1.0]])).tolist() == [[336, 0, 364, 28]]
    across = grids[13].frame
    assert across.size == (13, 1)
    assert across.points_to_source(torch.tensor([[0.5, 0.5]])).tolist() == [[(364 + 7 + 384 + 7) / 2, 14]]
    assert grids[14].frame.points_to_source(torch.tensor([[0.0, 0.0]])).tolist() == [[384 + 14, 0]]


@pytest.mark.parametrize("name", ["llava_onevision", "llava_next"])
@pytest.mark.parametrize("size", [(96, 60), (20, 70), (64, 64), (33, 90), (2000, 64), (5, 700)])
def test_pixels_are_packed_as_the_model_packs_features(name, size):
    model, processor = FAMILIES[name]()
    layout = layout_of(name, model.config, processor)
    inputs = asked(processor, name, [Image.fromarray(coordinate_picture(size))])
    means = F.avg_pool2d(inputs["pixel_values"][0], 4).flatten(2).transpose(1, 2)
    told = (
        {"vision_aspect_ratio": model.config.vision_aspect_ratio}
        if name == "llava_onevision"
        else {"vision_feature_select_strategy": "default"}
    )
    packed, _ = model.model.pack_image_features(
        [means], inputs["image_sizes"], image_newline=torch.full((3,), torch.nan), **told
    )
    (ours,) = layout.pixels(inputs, [size])
    assert torch.allclose(ours, packed[0], atol=1e-6, equal_nan=True)
    assert len(ours) == len(picture_positions(inputs["input_ids"], image_token_id(model.config)))


@pytest.mark.parametrize("name", ["llava_onevision", "llava_next"])
@pytest.mark.parametrize("size", [(2000, 64), (5, 700)])
def test_a_picture_narrower_than_a_token_of_its_tiles_is_seen_as_a_whole_only(name, size):
    """The model cuts off all of the tiles but the ends of their rows, which stand for no place."""
    model, processor = FAMILIES[name]()
    layout = layout_of(name, model.config, processor)
    inputs = asked(processor, name, [Image.fromarray(coordinate_picture(size))])
    with torch.no_grad():
        assert model(**inputs).logits.isfinite().all()
    (picture,) = layout.pictures(inputs, [size])
    assert picture.count == len(picture_positions(inputs["input_ids"], image_token_id(model.config)))
    mean, std = (MIXED["image_mean"], MIXED["image_std"]) if name == "llava_next" else (HALF, HALF)
    assert check_layout(layout, inputs, [size], mean=mean, std=std) < 0.2
    placed = {int(token) for grid in picture.grids for token in grid.token.flatten()}
    (pixels,) = layout.pixels(inputs, [size])
    assert placed == set(pixels[:, 0].isfinite().nonzero().flatten().tolist())
    assert len(picture.grids) == 1
    assert picture.seen().all() or name == "llava_onevision"
