"""Whatever a language model's forward pass does with grad mode, its maps are those of the model without it."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from functools import cache, partial, wraps

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from isotherm.api import explain
from isotherm.errors import LayerError, MethodError
from isotherm.vlm.explain import explain_answer
from isotherm.vlm.frozen import frozen_norms
from isotherm.vlm.graph import PIXELS, kept_graph
from isotherm.vlm.guards import guarded
from isotherm.vlm.methods import (
    AttentionGradient,
    GradCam,
    GradientActivation,
    IntegratedGradients,
    Propagation,
    TokenOcclusion,
)
from isotherm.vlm.question import Question
from isotherm.vlm.scores import Answer, Custom
from isotherm.vlm.trace import record
from rigs.breadth import wide
from rigs.grad_mode_nets import BLOCKS
from rigs.toy_language_view import Toy

METHODS = (GradientActivation(), GradCam(), IntegratedGradients(steps=2), Propagation())
FIRST = ("no_grad", "inference_mode", "function below")
PLACES = ("tower", "norm", "layer", "attention", "everything")
PICTURE = np.random.default_rng(3).integers(0, 255, (64, 64, 3), dtype=np.uint8)


class Blocked(Toy):
    """A tower with two streams of vision tokens, and two layers that read them; a block at one place, and the layers' numbers go on as ``through`` says."""

    def __init__(self, place=None, block=nullcontext, through=lambda h: h):
        super().__init__(self.say, ["a", "b", "?"], (), (2, 2))
        self.place, self.made, self.through = place, block, through
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.raw = torch.randn(4, 5)
            self.model = nn.ModuleDict(
                {
                    "tower": nn.Linear(5, 6),
                    "merger": nn.Linear(6, 6),
                    "layer": nn.Linear(6, 6),
                    "attention": nn.Linear(6, 6),
                    "head": nn.Linear(6, 3),
                }
            )

    def block(self, place):
        return self.made() if place == self.place else nullcontext()

    def tower(self, pixels):
        with self.block("norm"):
            seen = F.layer_norm(pixels, (5,))
        with self.block("tower"):
            deep = self.model["tower"](seen)
        return self.model["merger"](deep.tanh() * deep)[None], deep[None]

    def pixels(self, prompt):
        return self.raw

    def embed(self, prompt):
        with torch.no_grad():
            return tuple(s.clone() for s in self.tower(self.raw))

    def embed_pixels(self, prompt, pixels):
        with frozen_norms(), kept_graph(self.model, {}, start=PIXELS):
            return self.tower(pixels)

    def positive_per_cell(self, prompt, pixels, gradient, places):
        values = (gradient * (pixels - pixels.mean(0))).sum(-1)
        return torch.nn.functional.pad(
            values, (0, places[0].count - len(values))
        )  # of either sign, so that nothing is hidden

    def read(self, prompt, streams, continuation, *, hidden=None, shared=0):
        with self.block("everything"):
            return super().read(prompt, streams, continuation, hidden=hidden, shared=shared)

    def answer(self, prompt, *, most):
        return [0]

    def say(self, tokens, said):
        with self.block("norm"):
            h = F.layer_norm(tokens, (6,))
        with self.block("layer"):
            h = self.model["layer"](h)
        h = self.through(h)
        with self.block("attention"):
            weights = self.model["attention"](h).softmax(0)
        return self.model["head"]((weights * h).tanh().sum(0)) + len(said)


def maps_of(view, methods=METHODS, text=""):
    question = Question.of(view, view.ask([view.picture()], "a ?"), tower=True)
    said = [
        *Custom(lambda logits: logits[0, 0], text=text)(question),
        *Custom(lambda logits: logits[-1, 1].square(), text=text)(question),
    ]
    return [values for m in methods for values, _ in guarded(m, record(question, said, m.needs))]


def assert_same(found, expected):
    assert len(found) == len(expected) > 0
    for got, want in zip(found, expected, strict=True):
        assert want.abs().max() > 0
        torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-6 * float(want.abs().max()))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("block", [*FIRST, *wide(block for block in BLOCKS if block not in FIRST)])
def test_maps_are_those_of_the_model_without_blocks(block, place):
    assert_same(maps_of(Blocked(place, BLOCKS[block])), maps_of(Blocked()))
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("ambient", [torch.no_grad, torch.inference_mode])
def test_the_callers_own_block_makes_no_difference(ambient):
    before = Blocked("layer", torch.inference_mode)
    with ambient():
        both = [maps_of(view, text="b") for view in (before, Blocked("layer", torch.inference_mode))]
        assert not torch.is_grad_enabled()
    for found in both:
        assert_same(found, maps_of(Blocked(), text="b"))


def test_a_decorated_pass_is_no_other_model():
    class Decorated(Blocked):
        tower = torch.inference_mode()(Blocked.tower)
        say = torch.no_grad()(Blocked.say)

    assert_same(maps_of(Decorated()), maps_of(Blocked()))


def notes_of(view, method=METHODS[0]):
    explained = explain_answer(
        view, [view.picture()], "a ?", score=Custom(lambda logits: logits[0, 0]), methods=[method], trust="off"
    )
    return [n for n in explained.notes if "puts gradients off" in n]


def test_what_was_kept_on_is_told():
    (note,) = notes_of(Blocked("layer", torch.no_grad))
    assert "Blocked.say (test_grad_mode.py, line" in note
    assert "were kept on" in note
    assert notes_of(Blocked("layer", torch.no_grad), IntegratedGradients(steps=1)) == [note]
    assert any("Blocked.tower" in n for n in notes_of(Blocked("tower", torch.inference_mode), METHODS[-1]))
    # nothing to tell: no block, one in front of the graph, one that puts gradients on, and a method without gradients
    assert not notes_of(Blocked())
    assert not notes_of(Blocked("tower", torch.no_grad))
    assert not notes_of(Blocked("layer", torch.enable_grad))
    assert not notes_of(Blocked("layer", torch.no_grad), TokenOcclusion())


class Opaque(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        with torch.inference_mode():
            return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 2


@pytest.mark.parametrize(
    ("through", "error", "words"),
    [
        (
            lambda h: h.detach(),
            MethodError,
            r"no gradient at the vision tokens.*it ends at detach in .*test_grad_mode.py.*such as token_occlusion",
        ),
        (lambda h: torch.from_numpy(h.numpy()), MethodError, r"it ends at numpy in .*such as token_occlusion"),
        (
            Opaque.apply,
            LayerError,
            r"behind the vision tokens runs under inference_mode and inside of the autograd function Opaque.*such as token_occlusion",
        ),
    ],
    ids=["detach", "numpy", "function"],
)
def test_where_the_graph_ends_the_method_is_refused(through, error, words):
    for method in METHODS:
        with pytest.raises(error, match=words):
            maps_of(Blocked("layer", torch.no_grad, through), [method])
    assert maps_of(Blocked("layer", torch.no_grad, through), [TokenOcclusion()])[0].abs().max() > 0


def test_a_tower_that_ends_the_graph_and_a_score_without_gradient_are_refused():
    class Cut(Blocked):
        def tower(self, pixels):
            return tuple(s.detach() for s in super().tower(pixels))

    with pytest.raises(
        MethodError,
        match=r"the vision tokens have no gradient at the pixels.*it ends at detach in .*such as attention_gradient",
    ):
        maps_of(Cut(), METHODS[-1:])
    view = Blocked()
    question = Question.of(view, view.ask([view.picture()], "a ?"))
    with pytest.raises(MethodError, match=r"own score has no gradient at the vision tokens.*an argmax or a count"):
        record(question, Custom(lambda logits: logits[0].argmax())(question), frozenset({"gradient"}))


# --- models of transformers: fused attention, norms written out, a tower that is computed again in pieces ---


HF_METHODS = (Propagation(), AttentionGradient(), IntegratedGradients(steps=2))
PARTS = {
    "qwen3_vl": {
        "block": "model.visual.blocks.0",
        "norm": "model.visual.blocks.1.norm1",
        "layer": "model.language_model.layers.0",
        "attention": "model.language_model.layers.1.self_attn",
    },
    "paligemma": {
        "block": "model.vision_tower.encoder.layers.0",
        "norm": "model.language_model.layers.1.input_layernorm",
        "layer": "model.language_model.layers.0",
    },
}


def explained(view, method):
    found = explain(
        view, PICTURE, prompt="how many red ?", target=Answer("2 red", per="token"), method=method, trust="off"
    )
    return [m.values for m in found], [n for n in found.notes if "puts gradients off" in n]


def wrapped(monkeypatch, module, block):
    forward = module.forward

    @wraps(forward)  # what generates looks at the arguments' names
    def within(*args, **kwargs):
        with block():
            return forward(*args, **kwargs)

    monkeypatch.setattr(module, "forward", within)


@cache
def unblocked(view):
    """Maps and notes of each method, of a model as it is."""
    return [explained(view, method) for method in HF_METHODS]


@pytest.mark.parametrize(
    ("family", "block"),
    [
        ("qwen3_vl", "inference_mode"),
        ("paligemma", "no_grad"),
        ("paligemma", "function"),
        *wide([("qwen3_vl", "no_grad"), ("qwen3_vl", "function"), ("paligemma", "inference_mode")]),
    ],
)
def test_models_of_transformers_with_blocks_are_explained_as_without(families, family, block, monkeypatch):
    view, _ = families(family)
    expected = unblocked(view)
    assert not any(notes for _, notes in expected)  # rotary embeddings are decorated with no_grad in all of them
    for part in PARTS[family].values():
        with monkeypatch.context() as patched:
            wrapped(patched, view.model.get_submodule(part), BLOCKS[block])
            methods = HF_METHODS if block != "function" else HF_METHODS[:2]
            for method, (alone, _) in zip(methods, expected, strict=False):
                found, notes = explained(view, method)
                assert_same([f.nan_to_num(0.0) for f in found], [e.nan_to_num(0.0) for e in alone])
                assert bool(notes) == (method.name == "propagation" or part.startswith("model.language_model"))
    assert torch.is_grad_enabled()


def test_a_whole_model_under_inference_mode_is_explained_and_answers(families, monkeypatch):
    view, question = families("qwen3_vl")
    expected = explained(view, "propagation"), question.answer(most=4)
    wrapped(monkeypatch, view.model, torch.inference_mode)
    assert_same(explained(view, "propagation")[0], expected[0][0])
    assert families("qwen3_vl")[1].answer(most=4) == expected[1]


def test_layers_are_computed_again_with_gradients_kept_in_any_thread(families, monkeypatch):
    """On an accelerator the backward pass runs in a thread of torch's own."""
    view, question = families("qwen3_vl")
    wrapped(monkeypatch, view.model.model.visual.blocks[0], torch.no_grad)
    pixels, streams = question.tower()
    ones = [torch.ones_like(s) for s in streams]
    differentiated = partial(torch.autograd.grad, streams, pixels, ones, retain_graph=True)
    (here,), there = differentiated(), []
    thread = threading.Thread(target=lambda: there.extend(differentiated()))
    thread.start()
    thread.join()
    assert here.abs().max() > 0
    torch.testing.assert_close(there[0], here)
