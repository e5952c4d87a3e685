"""The converter: any layout of the prompt, any number of views, gradients, precisions, compiling and exporting."""

from __future__ import annotations

import io

import pytest
import torch
from torch import nn

from isotherm.errors import OptionError, ShapeError, WeightsError
from isotherm.systems.bridgevla import LLMToHeatmapConverter

CELLS, C = 4, 6


def converter(**options):
    return LLMToHeatmapConverter(C, patch_size=CELLS, target_size=8, **options).eval()


def prompt(views: int, *, left: int, right: int, text: int = 3):
    """States, attention and image tokens of one prompt: padding, text, pictures, text, padding."""
    n = views * CELLS**2
    length = left + text + n + text + right
    states = torch.full((1, length, C), 99.0)
    image = torch.zeros(1, length, dtype=torch.bool)
    image[:, left + text : left + text + n] = True
    states[image] = torch.randn(n, C, generator=torch.Generator().manual_seed(views))
    attention = torch.ones(1, length)
    attention[:, :left] = 0
    attention[:, length - right :] = 0
    return states, attention, image


@pytest.mark.parametrize("views", [1, 2, 5])
@pytest.mark.parametrize(("left", "right"), [(0, 0), (7, 0), (0, 7), (3, 4)])
def test_padding_changes_nothing(views, left, right):
    made = converter()
    plain = made(*prompt(views, left=0, right=0)[:2], views, image_token_mask=prompt(views, left=0, right=0)[2])
    states, attention, image = prompt(views, left=left, right=right)
    maps = made(states, attention, views, image_token_mask=image)
    assert maps.shape == (1, views, 8, 8)
    assert maps.std() > 0
    assert torch.equal(maps, plain)


def test_prompts_of_one_batch_may_be_padded_on_either_side():
    made = converter()
    parts = [prompt(2, left=5, right=0), prompt(2, left=0, right=5), prompt(2, left=2, right=3)]
    states, attention, image = (torch.cat(p) for p in zip(*parts, strict=True))
    maps = made(states, attention, 2, image_token_mask=image)
    assert torch.equal(maps, maps[:1].expand(3, -1, -1, -1))


def test_each_view_is_the_head_of_its_own_tokens():
    made = converter()
    states, attention, image = prompt(3, left=2, right=1)
    maps, features = made.forward_with_features(states, attention, 3, image_token_mask=image)
    assert features.shape == (1, 3, C, CELLS, CELLS)
    tokens = states[image].view(3, CELLS, CELLS, C)
    assert torch.equal(features[0], tokens.permute(0, 3, 1, 2))
    assert torch.allclose(maps[0, 2], made.up(features[:, 2])[0, 0], atol=1e-6)


def test_any_grid():
    made = converter()
    states, image = torch.randn(1, 30, C), torch.ones(1, 30, dtype=torch.bool)
    maps = made(states, num_views=2, image_token_mask=image, grid=(3, 5))
    assert maps.shape == (1, 2, 6, 10)


def test_without_a_mask_the_first_tokens_are_taken_and_it_says_so():
    made = converter()
    states, attention, image = prompt(1, left=6, right=0, text=0)
    with pytest.warns(UserWarning, match=r"first 16 tokens are taken.*image_token_mask=\(input_ids =="):
        maps = made(states, attention)
    assert torch.equal(maps, made(states, attention, image_token_mask=image))


def test_three_views_are_not_in_three_hundred_tokens():
    with torch.device("meta"):  # as the circulating example has it, without its 309 million weights
        made = LLMToHeatmapConverter(vlm_dim=2048, patch_size=16, target_size=224)
    states = torch.zeros(2, 300, 2048)
    with pytest.raises(ShapeError, match=r"3 view\(s\) of 16 x 16 are 768 image tokens, and a prompt has 300 tokens"):
        made(states, torch.ones(2, 300), num_views=3)
    with pytest.raises(ShapeError, match="are 768 image tokens, and prompt 0 has 300"):
        made(states, num_views=3, image_token_mask=torch.ones(2, 300, dtype=torch.bool))


def test_what_does_not_fit_is_refused(unchecked):
    made = converter()
    states, attention, image = prompt(1, left=2, right=0)
    with pytest.raises(ShapeError, match="6 features; expected vlm_dim = 7"):
        LLMToHeatmapConverter(7, CELLS, 8)(states, attention, image_token_mask=image)
    with pytest.raises(ShapeError, match="attention_mask has shape"):
        made(states, attention[:, 1:], image_token_mask=image)
    with pytest.raises(ShapeError, match="image_token_mask has shape"):
        made(states, attention, image_token_mask=image[:, 1:])
    with pytest.raises(ShapeError, match="attention_mask hides image tokens"):
        made(states, attention.roll(8, 1), image_token_mask=image)
    with pytest.raises(OptionError, match="expected a multiple"):
        LLMToHeatmapConverter(C, 16, 225)


def test_states_of_another_form_or_type_are_refused_in_words(unchecked):
    states, attention, image = prompt(1, left=1, right=1)
    for wrong, message in (
        (states[0], r"hidden_states have shape \[24, 6\]; expected \(prompts, tokens, features\)"),
        (
            states.half(),
            r"the states are torch.float16 and the converter torch.float32; give it hidden_states.to\(torch.flo",
        ),
        (states.long(), r"the states are torch.int64"),
        (states.numpy(), r"hidden_states is a ndarray; expected a tensor"),
    ):
        with pytest.raises(ShapeError, match=message):
            converter()(wrong, attention, 1, image_token_mask=image)
    with pytest.raises(ShapeError, match="image_token_mask is a list; expected a tensor"):
        converter()(states, attention, 1, image_token_mask=image.tolist())
    with torch.autocast("cpu", torch.bfloat16):  # which is there to mix them
        assert converter()(states.bfloat16(), attention, 1, image_token_mask=image).isfinite().all()
    weights = {"net_out.0.weight": 1, "net_mask.0.weight": 2}
    with pytest.raises(WeightsError, match=r"net_out.0.weight in these weights is a int; expected a tensor"):
        converter().load_head(weights)


def test_the_mask_of_image_tokens_may_be_of_numbers(unchecked):
    states, attention, image = prompt(2, left=1, right=1)
    made = converter()
    expected = made(states, attention, 2, image_token_mask=image)
    for mask in (image.long(), image.float()):
        assert torch.equal(made(states, attention, 2, image_token_mask=mask), expected)


def test_checkpointing_gives_the_same_gradients():
    states, attention, image = prompt(2, left=1, right=1)
    gradients = []
    for checkpointing in (False, True):
        made = converter(checkpointing=checkpointing)
        made.load_state_dict(converter_state())
        leaf = states.clone().requires_grad_()
        made(leaf, attention, 2, image_token_mask=image).square().sum().backward()
        gradients.append([leaf.grad, *(p.grad for p in made.parameters())])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*gradients, strict=True))
    assert gradients[0][0].abs().sum() > 0


def converter_state():
    torch.manual_seed(3)
    return converter().state_dict()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 3e-2), (torch.float16, 4e-3)])
def test_half_precisions_agree(dtype, tolerance):
    made = converter()
    states, attention, image = prompt(2, left=2, right=0)
    states = states.clamp(max=3)
    full = made(states, attention, 2, image_token_mask=image)
    half = made.to(dtype)(states.to(dtype), attention, 2, image_token_mask=image)
    assert half.dtype == dtype
    assert (half.float() - full).abs().max() < tolerance * full.abs().max()


def test_a_bottleneck_unless_the_published_head_is_wanted():
    """Of 2048 features a fiftieth of the weights; of few features there is nothing to make fewer."""
    with torch.device("meta"):
        default, narrow, published = (
            LLMToHeatmapConverter(2048, **options) for options in ({}, {"hidden_dim": 64}, {"hidden_dim": None})
        )
    assert default.up.config.hidden_dim == 256
    assert narrow.up.config.hidden_dim == 64
    assert sum(p.numel() for p in default.parameters()) == 6_154_213
    assert sum(p.numel() for p in published.parameters()) == 309_266_149
    assert "reduce.weight" not in published.up.state_dict()
    assert converter().up.config.hidden_dim is None
    assert converter(hidden_dim=4).up.config.hidden_dim == 4


def test_published_weights_are_loaded_by_their_keys():
    published, mine = converter(hidden_dim=None, padding="zeros"), converter(hidden_dim=None, padding="zeros")
    whole = {f"mvt1.up0.{k}": v for k, v in published.up.state_dict().items()} | {"mvt1.other": torch.zeros(3)}
    mine.load_head(whole)
    states, attention, image = prompt(1, left=2, right=0)
    assert torch.equal(mine(states, attention, image_token_mask=image), published(states, attention, 1, image))
    with pytest.raises(WeightsError, match=r"these weights has no bottleneck.*a bottleneck of 4.*hidden_dim=None"):
        converter(hidden_dim=4).load_head(whole)
    with pytest.raises(WeightsError, match=r"\(12, 6, 3, 3\) and does not fit.*ratio=4"):
        LLMToHeatmapConverter(C, CELLS, 16).load_head(whole)


SCRIPTED = """
import io, torch
from isotherm.systems.bridgevla import LLMToHeatmapConverter

torch.manual_seed(0)
states, image = torch.randn(1, 40, 6), (torch.arange(40) > 7)[None]
for options in {}, {"hidden_dim": 4, "padding": "zeros"}:
    made = LLMToHeatmapConverter(6, patch_size=4, target_size=8, **options).eval()
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(made), file)
    scripted = torch.jit.load(io.BytesIO(file.getvalue()))
    for dtype, tolerance in (torch.float32, 1e-6), (torch.bfloat16, 1e-2), (torch.float16, 1e-3):
        made, scripted, of = made.to(dtype), scripted.to(dtype), states.to(dtype)
        expected, features = made.forward_with_features(of, None, 2, image_token_mask=image)
        got, seen = scripted.forward_with_features(of, num_views=2, image_token_mask=image)
        assert torch.allclose(got, expected, atol=tolerance) and torch.equal(seen, features)
        assert torch.equal(scripted(of, torch.ones(1, 40), 2, image), got)
    assert scripted(of, num_views=2, image_token_mask=image, grid=(2, 8)).shape == (1, 2, 4, 16)
made = LLMToHeatmapConverter(6, patch_size=4, target_size=8).eval()
class OfTwoViews(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.made = made
    def forward(self, states, image):
        return self.made(states, None, 2, image)
traced = torch.jit.trace(OfTwoViews(), (states, image), check_trace=False)
assert torch.allclose(traced(states, image), made(states, None, 2, image), atol=1e-6)
try:
    scripted(of, num_views=3, image_token_mask=image)
except torch.jit.Error as error:
    print(str(error).splitlines()[-1])
"""


def test_scripted_and_traced_with_equal_numbers_and_the_same_checks(unchecked_process):
    """Both are deprecated, and still what some robots deploy; neither reads the checks that tests run under."""
    words = unchecked_process.run(SCRIPTED)
    assert "ShapeError: 3 view(s) of 4 x 4 are 48 image tokens, and prompt 0 has 32" in words


class Deployed(nn.Module):
    def __init__(self, made):
        super().__init__()
        self.made = made

    def forward(self, states, image):
        return self.made(states, None, 2, image_token_mask=image)


def test_compiled_and_exported_with_equal_numbers(unchecked):
    states, _, image = prompt(2, left=2, right=0)
    made = Deployed(converter()).eval()
    expected = made(states, image)
    compiled = torch.compile(made, fullgraph=True, backend="aot_eager")
    assert torch.allclose(compiled(states, image), expected, atol=1e-6)
    program = torch.export.export(made, (states, image))
    assert torch.allclose(program.module()(states, image), expected, atol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning:torch.onnx")
def test_onnx_says_the_same():
    pytest.importorskip("onnxscript", reason="the exporter to ONNX is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="nothing to run ONNX with is installed")
    states, _, image = prompt(2, left=2, right=0)
    made = Deployed(converter()).eval()
    file = io.BytesIO()
    torch.onnx.export(made, (states, image), dynamo=True, verbose=False).save(file)
    session = runtime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    (maps,) = session.run(None, dict(zip(names, (states.numpy(), image.numpy()), strict=True)))
    with torch.no_grad():
        assert torch.allclose(torch.from_numpy(maps), made(states, image), rtol=0, atol=1e-4)
