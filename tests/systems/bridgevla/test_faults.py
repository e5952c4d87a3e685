"""What is wrong with the heatmap module that circulates, and for each fault a test that ours does not have it.

Where the fault is a number, the test computes it by the formula that circulates, sees the fault there, and not here.
"""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from isotherm import losses
from isotherm.decode import FRONT, TOP, lift_orthographic, soft_argmax
from isotherm.errors import AnnotationError, ShapeError
from isotherm.frame import Frame
from isotherm.heads import sample_features
from isotherm.ops.convex_upsample import convex_upsample
from isotherm.systems.bridgevla import (
    LLMToHeatmapConverter,
    generate_hm_from_pt,
    generate_target_heatmap_from_annotation,
    quick_heatmap_from_llm,
    visualize_points_and_heatmap,
)
from isotherm.targets import gaussian


def border_share(padding: str) -> float:
    """The share of the probability in the patches along the border, for a map that is -5 everywhere."""
    logits = convex_upsample(
        torch.full((1, 1, 16, 16), -5.0), torch.zeros(1, 9 * 14**2, 16, 16), ratio=14, padding=padding
    )
    cells = logits.flatten().softmax(0).view(16, 14, 16, 14).sum((1, 3))
    return 1 - float(cells[1:-1, 1:-1].sum())


def zeros_beyond_the_border_draw_the_map_there():
    assert border_share("zeros") == pytest.approx(0.65, abs=0.01)
    assert border_share(LLMToHeatmapConverter(4, 2, 4).up.config.padding) == pytest.approx(60 / 256, abs=1e-4)


def the_first_tokens_are_padding():
    converter = LLMToHeatmapConverter(4, 2, 4).eval()
    tokens = torch.randn(1, 4, 4)
    padded = torch.cat([torch.full((1, 3, 4), 4.0), tokens], 1)
    mask = torch.tensor([[False] * 3 + [True] * 4])
    right = converter(tokens, image_token_mask=torch.ones(1, 4, dtype=torch.bool))
    with pytest.warns(UserWarning, match="first 4 tokens"):
        naive, ours = converter(padded[:, :4]), converter(padded, attention_mask=mask)
    assert (naive - right).abs().max() > 0.01
    assert torch.equal(ours, right)
    assert torch.equal(converter(padded, image_token_mask=mask), right)


def three_views_are_read_out_of_300_tokens():
    with pytest.raises(ShapeError, match="768 image tokens"):
        quick_heatmap_from_llm(torch.zeros(2, 300, 8), torch.ones(2, 300), num_views=3)


def every_quick_call_has_another_random_head():
    states, mask = torch.randn(1, 4, 4), torch.ones(1, 4, dtype=torch.bool)
    options = {"patch_size": 2, "target_size": 4}
    with pytest.warns(UserWarning, match="random weights"):
        quick_heatmap_from_llm(states, image_token_mask=mask, **options)
    made = LLMToHeatmapConverter(4, **options)
    twice = [quick_heatmap_from_llm(states, image_token_mask=mask, converter=made) for _ in range(2)]
    assert torch.equal(*twice)


def whole_numbers_end_the_program():
    target = generate_target_heatmap_from_annotation("[0, .4, 1, .6]", "detection_1", 100)
    assert divmod(int(target.argmax()), 100)[1] in (49, 50)


def lists_of_points_end_the_program():
    assert generate_target_heatmap_from_annotation("[[0.2, 0.3], [0.8, 0.7]]", "detection_2").shape == (1, 224, 224)


def four_numbers_are_read_as_they_come():
    """Corners under one flag, centre and extent under the other, and never anything else."""
    corners = generate_target_heatmap_from_annotation("[0.2, 0.2, 0.4, 0.6]", "detection_1", 100)
    extents = generate_target_heatmap_from_annotation("[(0.2, 0.2, 0.4, 0.6)]", "detection_2", 100)
    means = soft_argmax(torch.cat([corners, extents]), kind="probability").xy
    assert torch.allclose(means, torch.tensor([[30.0, 40.0], [20.0, 20.0]]), atol=1e-2)
    with pytest.raises(AnnotationError, match="3 numbers"):
        generate_target_heatmap_from_annotation("[0.2, 0.2, 0.4]", "detection_1")


def annotations_are_run_as_programs():
    with pytest.raises(AnnotationError, match="column 1"):
        generate_target_heatmap_from_annotation("__import__('os').getcwd()", "single_point")


def the_middle_is_half_a_pixel_off():
    """0.5 of 224 cells is the edge between cells 111 and 112, index 111.5: the four cells around it are equal."""
    target = generate_target_heatmap_from_annotation("[0.5, 0.5]", "single_point", 224)[0]
    middle = target[111:113, 111:113].flatten()
    assert torch.allclose(middle, middle[:1].expand(4))
    assert torch.allclose(target, target.flip(0, 1))
    circulating = generate_hm_from_pt([0.5 * 224, 0.5 * 224], 224, 2.0)[0]  # index coordinates for edge coordinates
    assert divmod(int(circulating.argmax()), 224) == (112, 112)


def a_point_off_the_frame_gives_no_target():
    target = generate_hm_from_pt([-9.0, 100.0], 224, 2.0)
    assert float(target.sum()) == pytest.approx(1)
    assert divmod(int(target.argmax()), 224) == (100, 0)
    logits = torch.zeros(1, 8, 8, requires_grad=True)
    loss = losses.gaussian_cross_entropy(logits, torch.tensor([[-3.0, 4.0]]), sigma_cells=1.0)
    assert loss.item() > 1


def width_and_height_change_places():
    target = generate_hm_from_pt([30.0, 10.0], (20, 40), 2.0)[0]
    assert target.shape == (20, 40)
    assert divmod(int(target.argmax()), 40) == (10, 30)


def a_softmax_over_probabilities_is_flat():
    points = torch.tensor([[30.0, 30.0], [31.0, 30.0]])
    circulating = generate_hm_from_pt(points, 64, 2.0).mean(0)
    near = circulating > 0
    flat = circulating.flatten().softmax(0).view(64, 64)[near]
    assert float(flat.max() / flat.min()) < 1.05
    ours = generate_target_heatmap_from_annotation("[[.476, .476], [.492, .476]]", "grasp_point", 64, 2.0)[0][near]
    assert float(ours.max() / ours.min()) > 50


def one_softmax_over_three_views():
    """Of maps that know nothing: ln 224^2 = 10.8 nats a view, where one softmax over all three gives 35.8 and more."""
    logits, points = torch.zeros(3, 224, 224), torch.tensor([[112.0, 112.0]] * 3)
    target = gaussian(points, (224, 224), sigma_cells=2.0, kind="probability").heatmap.values
    circulating = F.cross_entropy(logits.view(1, -1), target.view(1, -1))
    ours = losses.gaussian_cross_entropy(logits, points, sigma_cells=2.0)
    assert float(circulating) > 35
    assert ours.item() == pytest.approx(math.log(224**2), rel=1e-4)


def a_target_of_peak_1_multiplies_the_loss():
    target = generate_hm_from_pt([112.0, 112.0], 224, 2.0)
    assert float((target / target.max()).sum()) == pytest.approx(24.8, abs=0.1)
    assert float(target.sum()) == pytest.approx(1, abs=1e-5)


def features_are_read_half_a_cell_off():
    """Cell i of 14 pixels has its centre at 14 i + 7; px / 14 reads half a cell to the right, and nothing beyond 210."""
    features = torch.arange(16.0).expand(1, 1, 16, 16)
    frame = Frame.identity((224, 224)).to_grid(stride=14)
    points = torch.tensor([[[7.0, 7.0], [105.0, 7.0], [218.0, 7.0]]])
    assert sample_features(features, points, frame).flatten().tolist() == pytest.approx([0.0, 7.0, 15.0])


def one_sharp_view_outweighs_the_others():
    maps = gaussian(torch.tensor([[8.0, 8.0]] * 3), (16, 16), sigma_cells=2.0, kind="probability").heatmap.values.log()
    maps[2] = -30.0
    maps[2, 2, 3] = 20.0  # a spike elsewhere
    mean = lift_orthographic(maps, fusion="mean")
    product = lift_orthographic(maps)
    agreeing = torch.zeros(3)
    assert (mean.xyz - agreeing).abs().max() > 0.5
    assert float(product.disagreement) > 2  # and it is seen


class Largest(TorchDispatchMode):
    """Remembers how many numbers the largest tensor had that anything returned."""

    most = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.most = max([self.most, *(t.numel() for t in tree_leaves(out) if isinstance(t, torch.Tensor))])
        return out


def every_scene_is_decoded_by_itself_with_a_cache_of_gigabytes():
    """A batch at once, differentiable, and no volume: three views of 80 cells have one of half a million voxels."""
    batch = torch.randn(4, 3, 80, 80, requires_grad=True)
    with Largest() as largest:
        together = lift_orthographic(batch)
    assert largest.most < 80**3 < 4 * 80**3
    assert torch.allclose(together.xyz, torch.stack([lift_orthographic(one).xyz for one in batch]), atol=1e-5)
    (gradient,) = torch.autograd.grad(together.mean.sum(), batch)
    assert gradient.abs().sum() > 0


def only_three_views_of_224_pixels_are_possible():
    converter = LLMToHeatmapConverter(4, patch_size=3, target_size=12)
    states = torch.randn(2, 5 * 9, 4)
    everything = torch.ones(2, 45, dtype=torch.bool)
    assert converter(states, num_views=5, image_token_mask=everything).shape == (2, 5, 12, 12)
    assert converter(states, num_views=3, image_token_mask=everything, grid=(3, 5)).shape == (2, 3, 12, 20)
    assert lift_orthographic(torch.randn(2, 9, 9), views=(TOP, FRONT)).xyz.shape == (3,)


def numbers_outside_of_the_picture_are_taken():
    for text, flag in (
        ("[0.5, 1.5]", "single_point"),
        ("[-0.1, 0, 0.5, 0.5]", "detection_1"),
        ("[nan, 0]", "single_point"),
    ):
        with pytest.raises(AnnotationError):
            generate_target_heatmap_from_annotation(text, flag)


def a_loss_becomes_nan():
    """Where a point lies far off the frame, and where a logit is as large as half precision allows."""
    logits = torch.zeros(1, 8, 8)
    logits[0, 0, 0] = 60000.0
    logits.requires_grad_()
    for point in ([4.0, 4.0], [-500.0, 900.0]):
        loss = losses.gaussian_cross_entropy(logits, torch.tensor([point]), sigma_cells=1.0)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()


def figures_stay_open_and_nothing_comes_back():
    figure = visualize_points_and_heatmap(Image.new("RGBA", (8, 8)), [], torch.randn(1, 8, 8))
    assert figure.axes
    assert plt.get_fignums() == []


def the_head_is_said_to_take_8_megabytes():
    """It takes 1.2 GB; so it is not what one gets unless one asks for it, and the words say what it is."""
    with torch.device("meta"):
        default, published = LLMToHeatmapConverter(2048), LLMToHeatmapConverter(2048, hidden_dim=None)
    assert sum(p.numel() for p in published.parameters()) == 309_266_149
    assert sum(p.numel() for p in default.parameters()) < 309_266_149 / 50
    assert "309 million weights (1.2 GB)" in " ".join((LLMToHeatmapConverter.__doc__ or "").split())


FAULTS = {
    "logits of 0 beyond the border: 65 % of the probability in its patches": zeros_beyond_the_border_draw_the_map_there,
    "the first tokens are taken for the picture's, whatever they are": the_first_tokens_are_padding,
    "its example asks for three views of 300 tokens, which hold one": three_views_are_read_out_of_300_tokens,
    "a quick call makes a random head each time and says nothing": every_quick_call_has_another_random_head,
    "annotations with whole numbers end the program": whole_numbers_end_the_program,
    "annotations that are lists of points end the program": lists_of_points_end_the_program,
    "what four numbers mean is left to chance": four_numbers_are_read_as_they_come,
    "annotations are evaluated": annotations_are_run_as_programs,
    "targets lie half a pixel off": the_middle_is_half_a_pixel_off,
    "a point off the frame gives a target of zeros, hence no loss": a_point_off_the_frame_gives_no_target,
    "res=(w, h) gives a transposed map": width_and_height_change_places,
    "several points are fused by a softmax over probabilities: a flat disc": a_softmax_over_probabilities_is_flat,
    "the loss flattens all views into one softmax": one_softmax_over_three_views,
    "a target of peak 1 multiplies the loss by 24.8": a_target_of_peak_1_multiplies_the_loss,
    "features at the waypoint are read half a cell off, and as 0 beyond 210": features_are_read_half_a_cell_off,
    "views are joined by a mean, in which one spike dominates": one_sharp_view_outweighs_the_others,
    "224 pixels and three views are built in": only_three_views_of_224_pixels_are_possible,
    "numbers outside of the picture are taken as they come": numbers_outside_of_the_picture_are_taken,
    "losses become NaN": a_loss_becomes_nan,
    "scenes are decoded one by one, with gigabytes of projected voxels": every_scene_is_decoded_by_itself_with_a_cache_of_gigabytes,
    "figures stay open": figures_stay_open_and_nothing_comes_back,
    "309 million weights are called 8 MB": the_head_is_said_to_take_8_megabytes,
}
"""Fault -> the check that it is not here.

What concerns the language model is tested with its families: blindness to the instruction, and logits of every token
that nobody asks for, in tests/vlm/test_blindness.py; the order of tokens, merged and tiled, in tests/vlm/test_features.py.
"""


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_circulating_module_is_not_here(fault):
    FAULTS[fault]()
