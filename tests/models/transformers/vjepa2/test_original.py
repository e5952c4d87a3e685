"""Published weights by the original's names, held to the original's formulas, which are written out here once more."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from isotherm.errors import WeightsError
from isotherm.models.transformers.vjepa2.build import make_vjepa2
from isotherm.models.transformers.vjepa2.conditioned import run_predictor
from isotherm.models.transformers.vjepa2.original import load_original

D, P, HEADS, PATCH, SIDE, MASKS = 24, 12, 2, 4, 8, 3
GRID = SIDE // PATCH
SETTINGS = {
    "crop_size": SIDE,
    "patch_size": PATCH,
    "frames_per_clip": 4,
    "tubelet_size": 2,
    "hidden_size": D,
    "num_attention_heads": HEADS,
    "num_hidden_layers": 2,
    "pred_hidden_size": P,
    "pred_num_attention_heads": 1,
    "pred_num_hidden_layers": 1,
    "pred_num_mask_tokens": MASKS,
}


def block(name, d, draw):
    shapes = {
        "norm1": (d,),
        "attn.qkv": (3 * d, d),
        "attn.proj": (d, d),
        "norm2": (d,),
        "mlp.fc1": (4 * d, d),
        "mlp.fc2": (d, 4 * d),
    }
    out = {}
    for part, shape in shapes.items():
        out[f"{name}.{part}.weight"], out[f"{name}.{part}.bias"] = draw(*shape), draw(shape[0])
    return out


def original_state():
    """A file's content as the original's training writes it, with made-up numbers."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return 0.3 * torch.randn(*shape, generator=generator)

    encoder = {"patch_embed.proj.weight": draw(D, 3, 2, PATCH, PATCH), "patch_embed.proj.bias": draw(D)}
    for i in range(2):
        encoder |= block(f"blocks.{i}", D, draw)
    encoder |= {"norm.weight": draw(D), "norm.bias": draw(D)}
    predictor = {"predictor_embed.weight": draw(P, D), "predictor_embed.bias": draw(P)}
    predictor |= {f"mask_tokens.{i}": draw(1, 1, P) for i in range(MASKS)}
    predictor |= block("predictor_blocks.0", P, draw)
    predictor |= {"predictor_norm.weight": draw(P), "predictor_norm.bias": draw(P)}
    predictor |= {"predictor_proj.weight": draw(D, P), "predictor_proj.bias": draw(D)}
    return encoder, predictor


def wrapped(state):
    return {f"module.backbone.{name}": value for name, value in state.items()}


@pytest.fixture
def fpath(tmp_path):
    encoder, predictor = original_state()
    other = {name: value + 1 for name, value in wrapped(encoder).items()}
    content = {"encoder": other, "target_encoder": wrapped(encoder), "predictor": wrapped(predictor), "epoch": 3}
    torch.save(content, tmp_path / "vitx.pt")
    return tmp_path / "vitx.pt"


def turned(x, at):
    """Pairs of neighbours turned by their place; the frequencies of the first half are repeated for the second."""
    n = x.shape[-1]
    frequency = 10000.0 ** -(torch.arange(n // 2) / (n / 2))
    angle = (at[:, None] * frequency).repeat(1, 2)
    pairs = x.reshape(*x.shape[:-1], n // 2, 2)
    crossed = torch.stack([-pairs[..., 1], pairs[..., 0]], -1).reshape(x.shape)
    return x * angle.cos() + crossed * angle.sin()


def placed(x, ids):
    part = 2 * ((x.shape[-1] // 3) // 2)
    frame = ids // GRID**2
    axes = (frame, ids % GRID**2 // GRID, ids % GRID)
    turned_parts = [turned(x[..., i * part : (i + 1) * part], at.float()) for i, at in enumerate(axes)]
    return torch.cat([*turned_parts, x[..., 3 * part :]], -1)


def through(x, state, name, ids, heads):
    def linear(part, y):
        return F.linear(y, state[f"{name}.{part}.weight"], state[f"{name}.{part}.bias"])

    def norm(part, y):
        return F.layer_norm(y, y.shape[-1:], state[f"{name}.{part}.weight"], state[f"{name}.{part}.bias"], 1e-6)

    qkv = linear("attn.qkv", norm("norm1", x))
    q, k, v = (part.unflatten(-1, (heads, -1)).transpose(0, 1) for part in qkv.chunk(3, -1))
    q, k = placed(q, ids), placed(k, ids)
    weights = (q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])).softmax(-1)
    x = x + linear("attn.proj", (weights @ v).transpose(0, 1).flatten(1))
    return x + linear("mlp.fc2", F.gelu(linear("mlp.fc1", norm("norm2", x))))


def test_the_same_numbers_as_by_the_original_formulas(fpath):
    model = make_vjepa2(SETTINGS, seed=1)
    load_original(model, fpath)
    encoder, predictor = original_state()
    clip = torch.randn(4, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    kernel = encoder["patch_embed.proj.weight"]
    tokens = F.conv3d(clip.transpose(0, 1)[None], kernel, encoder["patch_embed.proj.bias"], stride=kernel.shape[2:])
    x, ids = tokens[0].flatten(1).T, torch.arange(2 * GRID**2)
    for i in range(2):
        x = through(x, encoder, f"blocks.{i}", ids, HEADS)
    features = F.layer_norm(x, (D,), encoder["norm.weight"], encoder["norm.bias"], 1e-6)
    with torch.no_grad():
        ours = model.encoder(clip[None]).last_hidden_state[0]
        torch.testing.assert_close(ours, features, atol=1e-5, rtol=1e-5)
        future = torch.arange(3 * GRID**2, 4 * GRID**2)
        predicted = run_predictor(model.predictor, features[None], context_ids=ids[None], target_ids=future[None])[0]
    context = F.linear(features, predictor["predictor_embed.weight"], predictor["predictor_embed.bias"])
    x = torch.cat([context, predictor["mask_tokens.1"][0].expand(len(future), -1)])
    x = through(x, predictor, "predictor_blocks.0", torch.cat([ids, future]), 1)
    x = F.layer_norm(x, (P,), predictor["predictor_norm.weight"], predictor["predictor_norm.bias"], 1e-6)
    expected = F.linear(x, predictor["predictor_proj.weight"], predictor["predictor_proj.bias"])[len(ids) :]
    torch.testing.assert_close(predicted, expected, atol=1e-5, rtol=1e-5)


def test_the_other_encoder_is_another_one(fpath):
    first, second = make_vjepa2(SETTINGS, seed=1), make_vjepa2(SETTINGS, seed=1)
    load_original(first, fpath)
    load_original(second, fpath, encoder_key="encoder")
    torch.testing.assert_close(first.encoder.layernorm.bias + 1, second.encoder.layernorm.bias)


def test_weights_that_do_not_fit_are_refused(fpath, tmp_path):
    with pytest.raises(WeightsError, match="does not fit V-JEPA 2's target_encoder"):
        load_original(make_vjepa2(SETTINGS | {"num_hidden_layers": 1}, seed=0), fpath)
    with pytest.raises(WeightsError, match="does not fit V-JEPA 2's predictor"):
        load_original(make_vjepa2(SETTINGS | {"pred_num_mask_tokens": 2}, seed=0), fpath)
    encoder, predictor = original_state()
    torch.save(
        {"target_encoder": encoder | {"pos_embed": torch.zeros(1, 8, D)}, "predictor": predictor}, tmp_path / "a.pt"
    )
    with pytest.raises(WeightsError, match="pos_embed"):
        load_original(make_vjepa2(SETTINGS, seed=0), tmp_path / "a.pt")
    del predictor["mask_tokens.1"]
    torch.save({"target_encoder": encoder, "predictor": predictor}, tmp_path / "b.pt")
    with pytest.raises(WeightsError, match="without a gap"):
        load_original(make_vjepa2(SETTINGS, seed=0), tmp_path / "b.pt")


@pytest.mark.parametrize(
    ("part", "key", "shape", "words"),
    [
        (
            0,
            "blocks.1.attn.qkv.weight",
            (1, D),
            r"blocks\.1\.attn\.qkv\.weight has the shape \[1, 24\]; expected queries",
        ),
        (0, "blocks.1.attn.qkv.bias", (), r"blocks\.1\.attn\.qkv\.bias has the shape \[\]"),
        (0, "blocks.0.mlp.fc1.weight", (3, 5), r"target_encoder: .*layer\.0\.mlp\.fc1\.weight.*\[3, 5\]"),
        (0, "patch_embed.proj.weight", (D, 3, 2, 8, 8), r"target_encoder: .*proj\.weight.*\[24, 3, 2, 8, 8\]"),
        (1, "mask_tokens.1", (1, 1, P + 1), r"mask tokens have the shapes \[\(1, 1, 12\), \(1, 1, 13\)\]"),
        (1, "predictor_proj.weight", (3, 5), r"predictor: .*proj\.weight.*\[3, 5\]"),
    ],
)
def test_a_weight_of_another_shape_is_named(tmp_path, part, key, shape, words):
    states = [dict(state) for state in original_state()]
    assert key in states[part]
    states[part][key] = torch.zeros(shape)
    torch.save({"target_encoder": states[0], "predictor": states[1]}, tmp_path / "a.pt")
    with pytest.raises(WeightsError, match=words):
        load_original(make_vjepa2(SETTINGS, seed=0), tmp_path / "a.pt")
