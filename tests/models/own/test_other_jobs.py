"""Models of transformers that no view reads, opened as modules of one's own: what is said of them, and where maps lie."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pytest
import torch
import transformers as T

from isotherm import explain, open_model, view_of
from isotherm.cam.capture import record
from isotherm.cam.clips import Clip, ClipView
from isotherm.errors import AdapterError
from isotherm.relevance.modules import resolve
from rigs.breadth import wide

SIDE, PATCH = 64, 16
TEXT = {"vocab_size": 100, "max_position_embeddings": 16, "bos_token_id": 0, "eos_token_id": 1}
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
SEES = {"image_size": SIDE, "patch_size": PATCH}
WORDS = torch.tensor([[0, 5, 6, 1]])
PROCESSOR = T.ViTImageProcessor(size={"height": SIDE, "width": SIDE})


def clipseg():
    text, vision = {**TEXT, **SMALL, "num_hidden_layers": 2}, {**SMALL, **SEES, "num_hidden_layers": 3}
    decoder = {"reduce_dim": 16, "extract_layers": [0, 1, 2], "decoder_num_attention_heads": 2}
    more = {"projection_dim": 16, "decoder_intermediate_size": 32, "conditional_layer": 0}
    return T.CLIPSegForImageSegmentation(T.CLIPSegConfig(text_config=text, vision_config=vision, **decoder, **more))


def masked_autoencoder():
    decoder = {"decoder_hidden_size": 32, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2}
    more = {"decoder_intermediate_size": 64, "mask_ratio": 0.0}
    return T.ViTMAEForPreTraining(T.ViTMAEConfig(**SMALL, **SEES, num_hidden_layers=2, **decoder, **more))


def eomt():
    more = {"num_blocks": 1, "num_queries": 6, "num_labels": 4, "mlp_ratio": 2, "num_upscale_blocks": 1}
    config = T.EomtConfig(**SEES, hidden_size=32, num_hidden_layers=3, num_attention_heads=2, **more)
    return T.EomtForUniversalSegmentation(config)


def xclip():
    text, vision = {**TEXT, **SMALL, "num_hidden_layers": 2}, {**SMALL, **SEES, "num_hidden_layers": 3}
    time = {"num_frames": 4, "mit_hidden_size": 32, "mit_intermediate_size": 64, "mit_num_hidden_layers": 1}
    vision |= {**time, "mit_num_attention_heads": 2}
    return T.XCLIPModel(
        T.XCLIPConfig(text_config=text, vision_config=vision, projection_dim=32, prompt_num_attention_heads=2)
    )


def of_patches(model, x):
    return model(pixel_values=x, noise=torch.arange(16.0).expand(len(x), -1)).logits  # in order, none left out


CASES = {
    "CLIPSeg": (
        clipseg,
        {"forward": lambda m, x: m(pixel_values=x, input_ids=WORDS.expand(len(x), -1)).logits},
        lambda out: out.flatten(1).amax(1),
    ),
    "ViTMAE": (masked_autoencoder, {"forward": of_patches}, lambda out: out[:, 5].mean(1)),
    "EoMT": (eomt, {}, lambda out: out.class_queries_logits[:, 0, 1]),
    "X-CLIP": (
        xclip,
        {
            "forward": lambda m, x: m(pixel_values=x, input_ids=WORDS).logits_per_video,
            "frames": 4,
            "axes": "b t c h w",
            "grid": (4, 4),
            "prefix": 1,
        },
        0,
    ),
}

FIRST = ("ViTMAE", "EoMT", "X-CLIP")
"""A call that is written down, none, and clips."""


@cache
def opened(name: str):
    torch.manual_seed(0)
    make, options, _ = CASES[name]
    return view_of(make().eval(), preprocess=PROCESSOR, **options)


@pytest.mark.parametrize("name", CASES)
def test_what_no_view_reads_says_how_it_is_explained(name):
    torch.manual_seed(0)
    with pytest.raises(AdapterError, match="as a module of your own: view_of") as caught:
        open_model(CASES[name][0]().eval(), processor=T.EomtImageProcessor() if name == "EoMT" else None)
    assert "isotherm explain" not in str(caught.value)


@pytest.mark.parametrize("name", [*FIRST, *wide(["CLIPSeg"])])
def test_the_cell_of_a_square_changes_most(name):
    """A patch of noise at every second place: the strongest cell of the chosen layer is exactly that patch."""
    view = opened(name)
    rng = np.random.default_rng(0)
    film = (110 + rng.integers(0, 16, (4, 2 * SIDE, 2 * SIDE, 3))).astype(np.uint8)
    places = [(moment, row, column) for moment, row, column in ((0, 0, 1), (1, 2, 3), (2, 3, 0), (3, 1, 2))]
    lit = []
    for moment, row, column in places:
        one = film.copy()
        part = one[moment, 32 * row : 32 * row + 32, 32 * column : 32 * column + 32]
        part[...] = rng.integers(0, 256, part.shape)
        lit.append((one, moment))
    of_clips = isinstance(view, ClipView)
    given = [Clip(one) for one in (film, *(f for f, _ in lit))] if of_clips else [film[0], *(f[m] for f, m in lit)]
    (layer,) = view.auto_layers().layers
    for (moment, row, column), after in zip(places, given[1:], strict=True):
        before = given[0] if of_clips else film[moment]
        inputs = view.prepare([before, after])
        recording = record(view.model, partial(view.run, inputs), resolve(view.model, [layer]), gradient=False)
        grid = view.layout(layer, recording.calls[0].output, inputs).to_grid(recording.calls[0].output)
        change = (grid[1] - grid[0]).square().sum(0)
        scale = change.shape[-1] // 4
        cell = [int(i) for i in np.unravel_index(int(change.argmax()), change.shape)]
        assert [i // scale for i in cell[-2:]] == [row, column], (layer, cell)
        assert cell[:-2] == ([moment] if of_clips else [])


@pytest.mark.parametrize("name", [*FIRST, *wide(["CLIPSeg"])])
def test_it_is_explained(name):
    film = np.random.default_rng(0).integers(0, 256, (8, 60, 80, 3), dtype=np.uint8)
    view = opened(name)
    found = explain(view, film if name == "X-CLIP" else film[0], target=CASES[name][2], trust="off")
    assert found[0].values.shape[-2:] == (4, 4)
    assert found[0].values.any()
