"""Layers whose attention reads more than their tokens: closed they are the original to the bit, open they are one softmax."""

from __future__ import annotations

import pytest
import torch

from isotherm.errors import OptionError, ShapeError
from isotherm.models.transformers.vjepa2.build import make_vjepa2
from isotherm.models.transformers.vjepa2.conditioned import Conditioning, run_layers, run_predictor

TINY = dict(
    crop_size=32,
    patch_size=8,
    frames_per_clip=8,
    tubelet_size=2,
    hidden_size=48,
    num_attention_heads=3,
    num_hidden_layers=2,
    pred_hidden_size=24,
    pred_num_attention_heads=2,
    pred_num_hidden_layers=2,
    pred_zero_init_mask_tokens=False,
    # the published 0.02 would make attention so flat that no test could see a wrong position
    initializer_range=0.3,
)
B, M, GRID = 2, 4, (4, 4)
N = M * 16


@pytest.fixture(scope="module")
def model():
    return make_vjepa2(TINY, seed=0)


def extra_of(model, *, d: int = 48, k: int = 5, seed: int = 1) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    places = torch.rand(B, k, 3, generator=rng) * 3
    return dict(extra=torch.randn(B, k, d, generator=rng), places=places)


def tokens_of(d: int = 48) -> torch.Tensor:
    return torch.randn(B, N, d, generator=torch.Generator().manual_seed(2))


def density_of() -> torch.Tensor:
    return torch.rand(B, N, generator=torch.Generator().manual_seed(3))


def test_the_same_seed_makes_the_same_model_and_unknown_settings_are_named():
    state = torch.random.get_rng_state()
    a, b = make_vjepa2(TINY, seed=0), make_vjepa2(TINY, seed=0)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    with pytest.raises(OptionError, match="no setting patch_sise"):
        make_vjepa2({"patch_sise": 8}, seed=0)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_closed_gates_are_the_encoder_to_the_bit(model, implementation):
    model.set_attn_implementation(implementation)
    video = torch.randn(B, 8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    tokens = model.encoder.embeddings(video)
    gate = torch.zeros(2, 3)
    conditioning = Conditioning(gate, **extra_of(model), density=density_of(), strength=torch.ones(2, 3))
    got = model.encoder.layernorm(run_layers(model.encoder.layer, tokens, conditioning=conditioning))
    assert torch.equal(got, model.encoder(video).last_hidden_state)
    opened = Conditioning(gate + 0.5, **extra_of(model))
    assert not torch.allclose(run_layers(model.encoder.layer, tokens, conditioning=opened), got)
    model.set_attn_implementation("sdpa")


def test_an_open_gate_is_one_softmax_over_video_and_extra_tokens(model):
    """Against the layer's own sum written out: scores of all keys, one softmax, one weighted mean."""
    layer, tokens = model.encoder.layer[0], tokens_of()
    more = extra_of(model)
    got = run_layers([layer], tokens, conditioning=Conditioning(torch.ones(1, 3), **more))
    attention = layer.attention
    everything = torch.cat([layer.norm1(tokens), layer.norm1(more["extra"])], dim=1)
    at = torch.tensor([[m, y, x] for m in range(M) for y in range(4) for x in range(4)]).float()
    places = torch.cat([at.expand(B, N, 3), more["places"]], dim=1)
    q, k, v = (
        part(everything).view(B, -1, 3, 16).transpose(1, 2)
        for part in (attention.query, attention.key, attention.value)
    )
    q, k = (attention.apply_rotary_embeddings(x, [places[:, None, :, i] for i in range(3)]) for x in (q, k))
    share = torch.softmax(q @ k.transpose(-1, -2) * 16**-0.5, dim=-1)
    context = (share @ v).transpose(1, 2).flatten(2)[:, :N]
    hidden = attention.proj(context) + tokens
    torch.testing.assert_close(got, layer.mlp(layer.norm2(hidden)) + hidden)


def test_an_extra_token_at_a_tokens_place_has_its_rotary_position(model):
    """The same content at the same place is the same key and query, in whole and between tokens."""
    attention, tokens = model.encoder.layer[0].attention, tokens_of()
    number = 2 * 16 + 3 * 4 + 1
    of_video = attention.get_position_ids(tokens)
    heads = tokens.view(B, N, 3, 16).transpose(1, 2)
    video = attention.apply_rotary_embeddings(heads, of_video)[:, :, number]
    place = torch.tensor([2.0, 3.0, 1.0]).expand(B, 1, 3)
    inserted = attention.apply_rotary_embeddings(
        heads[:, :, number : number + 1], [place[:, None, :, i] for i in range(3)]
    )
    assert torch.equal(inserted[:, :, 0], video)


def test_video_tokens_keep_their_rotary_positions(model, monkeypatch):
    """What the attention rotates the video tokens by is what it does without extra tokens, to the bit."""
    seen: dict[str, list] = {"with": [], "without": []}
    attention = model.encoder.layer[0].attention
    rotate = attention.apply_rotary_embeddings

    def watch(key):
        def watched(x, positions):
            out = rotate(x, positions)
            if x.shape[2] == N:
                seen[key].append(out)
            return out

        monkeypatch.setattr(attention, "apply_rotary_embeddings", watched)

    tokens = tokens_of()
    watch("without")
    run_layers(model.encoder.layer[:1], tokens)
    watch("with")
    run_layers(model.encoder.layer[:1], tokens, conditioning=Conditioning(torch.ones(2, 3), **extra_of(model)))
    assert len(seen["with"]) == len(seen["without"]) == 2
    assert all(torch.equal(a, b) for a, b in zip(seen["with"], seen["without"], strict=True))


def test_a_density_raises_the_keys_that_it_lies_on(model):
    layer, tokens, density = model.encoder.layer[0], tokens_of(), density_of()
    strength = torch.tensor([[0.0, 2.0, 5.0]])
    got = run_layers([layer], tokens, conditioning=Conditioning(torch.ones(1, 3), density=density, strength=strength))
    attention = layer.attention
    hidden = layer.norm1(tokens)
    q, k, v = (p(hidden).view(B, N, 3, 16).transpose(1, 2) for p in (attention.query, attention.key, attention.value))
    at = attention.get_position_ids(hidden)
    q, k = attention.apply_rotary_embeddings(q, at), attention.apply_rotary_embeddings(k, at)
    scores = q @ k.transpose(-1, -2) * 16**-0.5 + strength.view(1, 3, 1, 1) * density[:, None, None]
    hidden = attention.proj((torch.softmax(scores, -1) @ v).transpose(1, 2).flatten(2)) + tokens
    torch.testing.assert_close(got, layer.mlp(layer.norm2(hidden)) + hidden)


def test_gates_at_zero_get_gradients_and_open_ones_hand_them_on(model):
    gate = torch.zeros(2, 3, requires_grad=True)
    more = extra_of(model)
    more["extra"].requires_grad_()
    strength = torch.full((2, 3), 2.0, requires_grad=True)
    conditioning = Conditioning(gate, **more, density=density_of(), strength=strength)
    run_layers(model.encoder.layer, tokens_of(), conditioning=conditioning).square().sum().backward()
    assert (gate.grad.abs() > 0).all()
    assert more["extra"].grad.abs().max() == 0
    conditioning = Conditioning(gate.detach() + 0.1, **more, density=density_of(), strength=strength)
    run_layers(model.encoder.layer, tokens_of(), conditioning=conditioning).square().sum().backward()
    assert (more["extra"].grad.abs().amax((0, 2)) > 0).all()
    assert (strength.grad.abs() > 0).all()


def ids_of(*, after: int, targets: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    context = torch.arange(N).expand(B, N)
    return context, N + after * 16 + torch.arange(targets).expand(B, targets)


def test_the_predictor_is_the_original_to_the_bit_and_reads_the_future(model):
    tokens = tokens_of()
    context, target = ids_of(after=3)
    plain = model.predictor(
        encoder_hidden_states=tokens, context_mask=[context], target_mask=[target]
    ).last_hidden_state
    assert torch.equal(run_predictor(model.predictor, tokens, context_ids=context, target_ids=target), plain)
    closed = Conditioning(torch.zeros(2, 2), **extra_of(model, d=24), density=density_of(), strength=torch.ones(2, 2))
    got = run_predictor(model.predictor, tokens, context_ids=context, target_ids=target, conditioning=closed)
    assert torch.equal(got, plain)
    sooner = run_predictor(model.predictor, tokens, context_ids=context, target_ids=ids_of(after=0)[1])
    assert not torch.allclose(sooner, plain, atol=1e-3)


def test_the_density_of_the_predictor_lies_on_its_context(model):
    """In whatever order the context comes, and with targets before it: the predictor sorts, and so must the density."""
    tokens, density = tokens_of(), density_of()
    context, late = ids_of(after=1)

    def run(order, target, density):
        more = dict(density=density[:, order], strength=torch.full((2, 2), 3.0))
        return run_predictor(
            model.predictor,
            tokens[:, order],
            context_ids=context[:, order] + 16,
            target_ids=target,
            conditioning=Conditioning(torch.ones(2, 2), **more),
        )

    straight, mixed = torch.arange(N), torch.randperm(N, generator=torch.Generator().manual_seed(0))
    early = torch.arange(16).expand(B, 16)
    for target in (late + 16, early):
        expected = run(straight, target, density)
        torch.testing.assert_close(run(mixed, target, density), expected)
        assert not torch.allclose(run(straight, target, density.flip(1)), expected, atol=1e-3)


def test_halves_of_a_conditioning_are_refused():
    with pytest.raises(ShapeError, match="places go together"):
        Conditioning(torch.zeros(1, 1), extra=torch.zeros(1, 1, 4))
    with pytest.raises(ShapeError, match="strength go together"):
        Conditioning(torch.zeros(1, 1), density=torch.zeros(1, 4))
