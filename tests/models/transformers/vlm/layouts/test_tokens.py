"""Vision tokens lie where their layouts say: the pictures themselves tell, through the real image processors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.errors import AdapterError, ShapeError
from isotherm.models.transformers.vlm.layouts.layout import check_layout, coordinate_picture
from isotherm.models.transformers.vlm.layouts.qwen import QwenLayout, raster_order
from isotherm.models.transformers.vlm.layouts.squares import CentreCropLayout, PanAndScanLayout, SquashedLayout
from isotherm.models.transformers.vlm.layouts.tiles import IdeficsLayout, InternLayout

SIZES = [(48, 56), (60, 33), (37, 90), (64, 64)]
HALF = [0.5, 0.5, 0.5]


def qwen():
    from transformers import Qwen2VLImageProcessor

    processor = Qwen2VLImageProcessor(
        patch_size=4,
        merge_size=2,
        temporal_patch_size=2,
        min_pixels=16 * 16,
        max_pixels=80 * 80,
        image_mean=HALF,
        image_std=HALF,
    )
    return processor, QwenLayout.of(processor)


def paligemma():
    from transformers import SiglipImageProcessor

    return SiglipImageProcessor(size={"height": 32, "width": 32}, image_mean=HALF, image_std=HALF), SquashedLayout(
        side=32, stride=4
    )


def gemma(**crops):
    from transformers import Gemma3ImageProcessor

    processor = Gemma3ImageProcessor(
        size={"height": 32, "width": 32},
        image_mean=HALF,
        image_std=HALF,
        do_pan_and_scan=True,
        pan_and_scan_min_crop_size=20,
        pan_and_scan_max_num_crops=4,
        pan_and_scan_min_ratio_to_activate=1.2,
        do_convert_rgb=True,
    )
    return processor, PanAndScanLayout(side=32, stride=8, **({"least": 20} | crops))


def llava():
    from transformers import CLIPImageProcessor

    return CLIPImageProcessor(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, image_mean=HALF, image_std=HALF
    ), CentreCropLayout(side=32, stride=4)


def idefics():
    from transformers import Idefics3ImageProcessor

    processor = Idefics3ImageProcessor(
        size={"longest_edge": 96},
        max_image_size={"longest_edge": 32},
        image_mean=HALF,
        image_std=HALF,
        do_image_splitting=True,
    )
    return processor, IdeficsLayout(processor, stride=8)


def smolvlm():
    from transformers import SmolVLMImageProcessor

    processor = SmolVLMImageProcessor(
        size={"longest_edge": 96},
        max_image_size={"longest_edge": 32},
        image_mean=HALF,
        image_std=HALF,
        do_image_splitting=True,
    )
    return processor, IdeficsLayout(processor, stride=8)


def intern():
    from transformers import GotOcr2ImageProcessor

    processor = GotOcr2ImageProcessor(
        size={"height": 32, "width": 32},
        crop_to_patches=True,
        min_patches=1,
        max_patches=6,
        image_mean=HALF,
        image_std=HALF,
    )
    return processor, InternLayout(processor, stride=8)


FAMILIES = {
    "idefics": idefics,
    "smolvlm": smolvlm,
    "intern": intern,
    "qwen": qwen,
    "paligemma": paligemma,
    "gemma": gemma,
    "llava": llava,
}


def processed(processor, sizes):
    from PIL import Image

    return processor([Image.fromarray(coordinate_picture(size)) for size in sizes], return_tensors="pt")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "sizes", [[s] for s in SIZES] + [SIZES], ids=lambda sizes: " ".join(f"{h}x{w}" for h, w in sizes)
)
def test_tokens_lie_where_the_layout_says(family, sizes):
    processor, layout = FAMILIES[family]()
    inputs = processed(processor, sizes)
    assert check_layout(layout, inputs, sizes, mean=HALF, std=HALF) < 0.2
    for picture, size in zip(layout.pictures(inputs, sizes), sizes, strict=True):
        assert picture.size == size
        tokens = torch.cat([grid.token.flatten() for grid in picture.grids])
        assert tokens.sort().values.tolist() == list(range(picture.count))


def test_the_wrong_order_and_the_wrong_crop_are_refused():
    """What popular scripts do: patches read in the order of the list, a centre crop taken for the whole picture."""
    processor, _ = qwen()
    inputs = processed(processor, [(48, 56)])

    class Listed(QwenLayout):
        def pictures(self, inputs, sizes):
            found = super().pictures(inputs, sizes)
            grid = found[0].grids[0]
            turned = type(grid)(grid.frame, grid.token.T.reshape(grid.token.shape))
            return [type(found[0])(found[0].size, (turned,), found[0].count)]

    with pytest.raises(AdapterError, match=r"do not lie where its layout says, by \d"):
        check_layout(Listed(patch=4, merge=2), inputs, [(48, 56)], mean=HALF, std=HALF)
    processor, _ = llava()
    with pytest.raises(AdapterError, match="so it is refused"):
        check_layout(
            SquashedLayout(side=32, stride=4), processed(processor, [(37, 90)]), [(37, 90)], mean=HALF, std=HALF
        )
    processor, _ = gemma()
    with pytest.raises(ShapeError, match=r"made 4 squares; its layout says 1"):
        check_layout(gemma(ratio=9.0)[1], processed(processor, [(37, 120)]), [(37, 120)], mean=HALF, std=HALF)


def test_what_a_centre_crop_leaves_out_is_unseen():
    _, layout = llava()
    seen = layout.pictures({}, [(32, 64)])[0].seen()
    assert seen[:, 16:48].all()
    assert not seen[:, :16].any()
    assert not seen[:, 48:].any()
    _, layout = gemma()
    assert layout.pictures({}, [(37, 90)])[0].seen().all()


def test_patches_of_merged_blocks_in_reading_order():
    """By hand: the list goes through block after block, each in reading order."""
    h, w, m = 4, 6, 2
    picture = torch.arange(h * w).view(h, w)
    listed = torch.cat([picture[i : i + m, j : j + m].flatten() for i in range(0, h, m) for j in range(0, w, m)])
    assert torch.equal(listed[raster_order(h, w, m)].view(h, w), picture)


def test_a_coordinate_picture_says_where_it_is():
    picture = coordinate_picture((50, 100))
    assert picture.shape == (50, 100, 3)
    assert np.allclose(picture[10, :, 0] / 255 * 100, np.arange(100) + 0.5, atol=0.25)
    assert np.allclose(picture[:, 3, 1] / 255 * 50, np.arange(50) + 0.5, atol=0.15)


def test_bad_layouts():
    with pytest.raises(ShapeError, match="no multiple of the 5 of a token"):
        SquashedLayout(side=32, stride=5)
    processor, layout = qwen()
    with pytest.raises(ShapeError, match="holds 1 pictures; 2 sizes"):
        layout.pictures(processed(processor, [(48, 56)]), [(48, 56), (48, 56)])
