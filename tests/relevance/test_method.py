"""One protocol for every method: each is tried on a trace that refuses what was not declared, and a method of one's own explains all."""

from __future__ import annotations

import copy
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
import torch

from isotherm import explain, methods, open_model
from isotherm.cam.attribute import observe, target_layers
from isotherm.cam.observation import trace_of
from isotherm.cam.rerun import ViewRerun
from isotherm.cam.scores import TopK
from isotherm.cam.trace import LayerMap
from isotherm.errors import MethodError, OptionError
from isotherm.relevance.method import (
    NEEDS,
    Layer,
    LayeredTrace,
    LayerMethod,
    Method,
    check_explains,
    explains,
    is_additive,
    needs_of,
)
from isotherm.vlm.methods import GradCam, GradientActivation
from isotherm.vlm.pixel_cells import places_of
from isotherm.vlm.scores import Custom
from isotherm.vlm.trace import TokenMap, record, token_values

QUICK = {"masks": 8, "cells": 4, "steps": 2, "channels": 4, "window": 16}
"""Settings that make a method that runs the model again do so a few times."""

TRACE = {"biases": "bias", "attention": "attention"}
LAYER = {"activation": "activation", "gradient": "gradient"}
BLOCK = {"gradient": "attention_gradient", "own_gradient": "attention_own_gradient"}
RERUN = {
    "scores": "rerun",
    "scores_of_each": "rerun",
    "input_gradient": "rerun",
    "scores_with_channels": "rerun",
    "hessian_vector": "hessian",
}
ANSWER = {
    "activations": "activation",
    "gradients": "gradient",
    "frozen_gradients": "frozen_gradient",
    "reads": "attention",
    "hidden": "hidden",
    "scores": "rerun",
    "scores_and_gradients": "rerun",
}
ROWS = {"gradient": "attention_gradient"}
QUESTION = {"tower": "tower"}


def watched(part, needs: dict[str, str], allowed: frozenset[str], read: set[str]):
    """The same part of a trace; reading what is not allowed is an error, and what is read is written down."""

    class Watched(type(part)):
        def __getattribute__(self, name):
            need = needs.get(name)
            if need is not None:
                assert need in allowed, f"reads {need}, which it does not declare"
                read.add(need)
            return super().__getattribute__(name)

    other = copy.copy(part)
    object.__setattr__(other, "__class__", Watched)
    return other


def watched_picture(trace, allowed, read):
    return watched(
        replace(
            trace,
            layers=tuple(watched(layer, LAYER, allowed, read) for layer in trace.layers),
            attention=tuple(watched(block, BLOCK, allowed, read) for block in trace.attention),
            rerun=watched(trace.rerun, RERUN, allowed, read),
        ),
        TRACE,
        allowed,
        read,
    )


def watched_answer(trace, allowed, read):
    return watched(
        replace(
            trace,
            reads=tuple(tuple(watched(layer, ROWS, allowed, read) for layer in row) for row in trace.reads),
            question=watched(trace.question, QUESTION, allowed, read),
        ),
        ANSWER,
        allowed,
        read,
    )


def quick(method):
    settings = {f.name for f in fields(method)} if is_dataclass(method) else set()
    numbers = {name for name in settings & QUICK.keys() if not isinstance(getattr(method, name), str)}
    return replace(method, **{name: QUICK[name] for name in numbers})


@pytest.fixture(scope="module")
def picture_trace():
    """A trace of a vision transformer that holds everything that any method of pictures may declare."""
    import timm

    torch.manual_seed(0)
    model = timm.create_model(
        "vit_tiny_patch16_224",
        pretrained=False,
        img_size=32,
        patch_size=8,
        embed_dim=12,
        depth=2,
        num_heads=2,
        num_classes=6,
    )
    torch.nn.init.normal_(model.head.weight)
    view = open_model(model)
    inputs = view.prepare([np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)])
    refs = target_layers(view, "auto")
    kept = observe(view, inputs, needs_of([getattr(methods, name) for name in methods.ALL]), refs)
    targets = TopK(4)(view.find(kept.recording.raw, inputs), inputs)
    return trace_of(kept, ViewRerun(view, inputs, targets, kept.refs, kept.layouts), keep=True)


@pytest.mark.parametrize("name", methods.ALL)
@pytest.mark.filterwarnings("ignore:integrated gradients sum to")
def test_a_method_of_pictures_reads_what_it_declares_and_nothing_else(name, picture_trace):
    method, read = quick(getattr(methods, name)), set()
    assert isinstance(method, Method)
    assert method.needs <= NEEDS.keys()
    assert explains(method, "pictures")
    maps = method(watched_picture(picture_trace, method.needs, read))
    assert read == method.needs
    assert maps
    for m in maps:
        assert isinstance(m, LayerMap)
        assert m.values.shape[0] == len(picture_trace) == 4
        assert torch.isfinite(m.values).all()
        assert method.signed or float(m.values.min()) >= 0


@pytest.mark.parametrize("name", methods.catalogue("answers"))
def test_a_method_of_answers_reads_what_it_declares_and_nothing_else(name, families):
    method, read = quick(methods.catalogue("answers")[name]), set()
    assert isinstance(method, Method)
    assert method.needs <= NEEDS.keys()
    assert explains(method, "answers")
    _, question = families("qwen2_vl")
    every = needs_of(list(methods.catalogue("answers").values()))
    (trace,) = record(question, Custom(lambda logits: logits[0, 7] - logits[0, 3])(question), every)
    values = token_values(method(watched_answer(trace, method.needs, read)))
    assert read == method.needs
    assert len(values) == sum(place.count for place in places_of(method, question.prompt))
    assert torch.isfinite(values).all()
    assert method.signed or float(values.min()) >= 0


def test_what_was_not_declared_is_refused_by_such_a_trace(picture_trace):
    """The tests above can fail."""
    for wrong in (frozenset({"gradient"}), frozenset({"activation"}), frozenset({"rerun"})):
        with pytest.raises(AssertionError, match="which it does not declare"):
            methods.hirescam(watched_picture(picture_trace, wrong, set()))
    read: set[str] = set()
    methods.eigencam(watched_picture(picture_trace, frozenset({"activation", "gradient"}), read))
    assert read == {"activation"}


def test_both_kinds_of_trace_have_layers(picture_trace, families):
    _, question = families("qwen3_vl")
    (trace,) = record(question, Custom(lambda logits: logits[0, 7])(question), frozenset({"activation", "gradient"}))
    for one in (picture_trace, trace):
        assert isinstance(one, LayeredTrace)
        assert all(isinstance(layer, Layer) for layer in one.need_layers())
    assert len(trace.need_layers()) == 2
    bare = record(question, Custom(lambda logits: logits[0, 7])(question), frozenset())[0]
    with pytest.raises(MethodError, match="recorded without"):
        methods.hirescam(bare)


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen3_vl"])
def test_formulas_of_layers_are_those_of_vision_tokens(family, families):
    """What stands twice, once for pictures and once for answers, says the same of the same trace."""
    _, question = families(family)
    (trace,) = record(question, Custom(lambda logits: logits[0, 7])(question), frozenset({"activation", "gradient"}))
    torch.testing.assert_close(token_values(methods.hirescam(trace)), GradientActivation()(trace))
    torch.testing.assert_close(token_values(methods.gradcam(trace)).clamp(min=0), GradCam()(trace))


class Loudest:
    """A method that somebody else wrote: no class of ours, one formula for whatever has layers."""

    name, signed, needs = "loudest", True, frozenset({"activation", "gradient"})

    def __call__(self, trace):
        return [layer.map_of((layer.activation * layer.need_gradient()).sum(1)) for layer in trace.need_layers()]


def test_a_method_of_ones_own_explains_a_picture_and_an_answer():
    from isotherm.data.scenes import make_scene
    from isotherm.data.shape_questions import make_question

    assert isinstance(Loudest(), Method)
    picture = make_scene(3).picture
    ours, theirs = explain("scenes", picture, method=[Loudest(), "hirescam"], trust="off")
    assert ours.meta["method"] == "loudest"
    torch.testing.assert_close(ours.values, theirs.values)
    assert float(ours.values.abs().sum()) > 0
    shapes = make_question(11, "count")
    maps = explain(
        "tiny-vlm", shapes.picture, prompt=shapes.question, method=[Loudest(), "gradient_activation"], trust="fast"
    )
    assert maps[0].meta["method"] == "loudest"
    torch.testing.assert_close(maps[0].values, maps[1].values)
    assert maps.trust[0].gain.value == pytest.approx(maps.trust[1].gain.value, abs=1e-5)


def test_a_formula_of_ones_own_explains_an_answer_as_it_explains_a_picture():
    from isotherm.data.shape_questions import make_question

    shapes = make_question(11, "count")
    squared = LayerMethod("squared", lambda a, g: (g * a).square(), signed=False)
    maps = explain("tiny-vlm", shapes.picture, prompt=shapes.question, method=squared, trust="off")
    assert float(maps[0].values.min()) >= 0 < float(maps[0].values.max())


def test_methods_by_name_explain_answers_where_their_formula_fits():
    from isotherm.data.shape_questions import make_question

    shapes = make_question(11, "count")
    maps = explain(
        "tiny-vlm", shapes.picture, prompt=shapes.question, method=["HiResCAM", "gradient_activation"], trust="off"
    )
    torch.testing.assert_close(maps[0].values, maps[1].values)
    with pytest.raises(MethodError, match=r"there is no method 'eigencam' for language models.*hirescam"):
        explain("tiny-vlm", shapes.picture, prompt=shapes.question, method="eigencam")


def test_methods_of_another_subject_are_refused_with_advice():
    from isotherm.data.scenes import make_scene

    picture = make_scene(3).picture
    with pytest.raises(MethodError, match=r"propagation cannot explain pictures: .*hirescam"):
        explain("scenes", picture, method=methods.answers.Propagation())
    with pytest.raises(MethodError, match=r"Occlusion cannot explain answers: .*propagation"):
        explain("tiny-vlm", picture, prompt="how many red ?", method=methods.Occlusion())
    with pytest.raises(MethodError, match="loudest cannot explain clips: one reason"):
        check_explains([methods.hirescam, Loudest()], "clips", "one reason")
    check_explains([Loudest()], "answers", "none")


def test_the_catalogue_has_every_method_by_subject(unchecked):
    pictures, clips, answers = (methods.catalogue(s) for s in ("pictures", "clips", "answers"))
    assert list(pictures) == list(methods.ALL)
    assert set(clips) < set(pictures)
    assert {"gradcam", "hirescam", "shapleycam"} <= set(clips)
    assert not {"rise", "rollout", "fullgrad"} & set(clips)
    assert {"propagation", "attention_gradient", "hirescam"} <= set(answers)
    assert isinstance(answers["gradcam"], GradCam)
    assert not {"eigencam", "scorecam", "legrad"} & set(answers)
    with pytest.raises(OptionError, match="subject is 'videos'"):
        methods.catalogue("videos")


def test_amounts_add_up_and_degrees_do_not():
    assert [
        is_additive(m) for m in (methods.hirescam, methods.gradcam, Loudest(), GradientActivation(), GradCam())
    ] == [True, False, False, True, False]
    streams = [TokenMap("a", torch.tensor([[1.0, 2.0]])), TokenMap("b", torch.tensor([[0.5, -2.0]]))]
    assert token_values(streams).tolist() == [1.5, 0.0]
    assert token_values(torch.tensor([3.0])).tolist() == [3.0]
