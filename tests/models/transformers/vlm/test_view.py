"""Every family through its real processor: the view's two halves are the model, forced answers are what it would say, and nothing is left behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm.api import explain, open_model
from isotherm.data.shape_questions import HELD_OUT, make_question
from isotherm.errors import AdapterError, MethodError, OptionError
from isotherm.metrics.localisation import energy_inside
from isotherm.models.transformers.vlm.prompts import picture_positions, video_arguments
from isotherm.models.transformers.vlm.view import TransformersVlm
from isotherm.ops.resample import to_source
from isotherm.vlm import methods
from isotherm.vlm.explain import by_picture
from isotherm.vlm.scores import Answer, Custom
from isotherm.vlm.trace import record
from rigs.breadth import wide
from rigs.vlm_models import FAMILIES
from rigs.vlm_omni import muse_glimmer, qwen2_5_omni_thinker

NOTHING = torch.zeros(1, 0, dtype=torch.long)
FIRST = [
    ("qwen3_vl", torch.float32),
    ("paligemma", torch.float32),
    ("llava_onevision", torch.float32),
    ("gemma3", torch.bfloat16),
]
"""Two streams of vision tokens; one square whose tokens see each other; tiles; layers that see a window, in half precision."""
OTHERS = [
    *((f, torch.float32) for f in FAMILIES if (f, torch.float32) not in FIRST),
    *((f, torch.bfloat16) for f in ("qwen3_vl", "smolvlm")),
]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("count", [1, 2])
def test_embedding_and_reading_are_the_model(families, family, count):
    view, question = families(family, count=count)
    with torch.no_grad():
        true = view.model(**question.prompt.inputs, use_cache=False).logits[:, -1]
        read = view.read(question.prompt, question.streams, NOTHING)
    torch.testing.assert_close(read.logits[:, -1], true, atol=1e-5, rtol=1e-4)
    # every vision token matters to somebody: changed ones change what is said
    changed = tuple(s + torch.randn(s.shape, generator=torch.Generator().manual_seed(0)) for s in question.streams)
    with torch.no_grad():
        other = view.read(question.prompt, changed, NOTHING)
    assert not torch.allclose(other.logits[:, -1], true, atol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_forced_answer_has_the_probabilities_of_saying_it(families, family):
    view, question = families(family)
    found = view.model.generate(
        **question.prompt.inputs, max_new_tokens=3, do_sample=False, output_scores=True, return_dict_in_generate=True
    )
    scores = torch.stack(found.scores, 1)[0]
    said = found.sequences[0, len(question.prompt.ids) :].tolist()[: len(scores) - 1]
    with torch.no_grad():
        forced = view.read(question.prompt, question.streams, torch.tensor([said]))
    torch.testing.assert_close(
        forced.logits[0].log_softmax(-1), scores[: len(said) + 1].log_softmax(-1), atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl", "gemma3_crops", "idefics3"])
def test_versions_of_a_prompt_are_read_together_as_alone(families, family):
    view, question = families(family)
    noise = torch.Generator().manual_seed(0)
    streams = tuple(torch.cat([s, s + torch.randn(s.shape, generator=noise)]) for s in question.streams)
    answers = torch.tensor([[5, 6], [7, 8]])
    with torch.no_grad():
        both = view.read(question.prompt, streams, answers).logits
        alone = [
            view.read(question.prompt, tuple(s[i : i + 1] for s in streams), answers[i : i + 1]).logits
            for i in range(2)
        ]
    torch.testing.assert_close(both, torch.cat(alone), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", [f for f in FAMILIES if "gemma" not in f])
def test_what_versions_share_is_read_once_and_right(families, family):
    """Token by token: those in front of the changed one are not read again, and what is said is the same."""
    view, question = families(family)
    n = question.tokens
    changed = [n // 2 + i for i in range(4)]
    gone = torch.zeros(4, n, 1, dtype=torch.bool)
    gone[range(4), changed] = True
    streams = tuple(torch.where(gone, s.mean(1, keepdim=True), s) for s in question.streams)
    start = int(question.prompt.positions[n // 2])
    answers = torch.tensor([[5]] * 4)
    with torch.no_grad():
        plain = view.read(question.prompt, streams, answers).logits
        quick = view.read(question.prompt, streams, answers, shared=start).logits
        assert question._alike(streams) == start
    torch.testing.assert_close(quick, plain, atol=2e-5, rtol=1e-4)


def test_deepstack_is_a_stream_of_its_own(families):
    view, question = families("qwen3_vl")
    assert len(question.streams) == 2
    with torch.no_grad():
        features = view.model.model.get_image_features(
            question.prompt.inputs["pixel_values"], question.prompt.inputs["image_grid_thw"], return_dict=True
        )
    torch.testing.assert_close(question.streams[0][0], torch.cat(list(features.pooler_output)))
    torch.testing.assert_close(question.streams[1][0], torch.cat(list(features.deepstack_features[0])))


@pytest.mark.parametrize(("family", "dtype"), [*FIRST, *wide(OTHERS)])
def test_every_method_explains_every_family(families, family, dtype):
    view, question = families(family)
    kept = view.model.dtype
    view.model.to(dtype)
    try:
        names = [getattr(methods, n)() for n in methods.__all__]
        fewer = {"rise": methods.Rise(masks=8), "occlusion": methods.Occlusion(cells=4, square=1)}
        names = [fewer.get(m.name, m) for m in names]
        maps = explain(
            view,
            question.prompt.sources[0],
            prompt="how many red ?",
            answer="2 red",
            target="answer",
            method=names,
            trust="off",
        )
        assert len(maps) == 2 * len(names)
        for heatmap in maps:
            assert heatmap.values.dtype == torch.float32
            assert bool(torch.isfinite(heatmap.values[~heatmap.values.isnan()]).all())
            if (
                heatmap.meta["method"] != "token_activation"
            ):  # where no token would say the word by itself, there is no evidence
                assert float(heatmap.values.nan_to_num().std()) > 0, heatmap.meta["method"]
            assert tuple(heatmap.frame.source_size.tolist()) == (50, 70)
        assert all(p.grad is None for p in view.model.parameters())
    finally:
        view.model.to(kept)


def test_nothing_is_left_behind_also_after_an_error(families):
    view, question = families("qwen3_vl")
    view.model.train()
    before = {n: (len(m._forward_hooks), len(m._forward_pre_hooks)) for n, m in view.model.named_modules()}
    asks = [p.requires_grad for p in view.model.parameters()]
    deltas = view.model.model.rope_deltas
    try:

        def broken(logits):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            record(
                question,
                [Custom(lambda logits: logits[0, 0])(question)[0].__class__("x", ((),), broken, ((0, 0),), (0,))],
                frozenset({"gradient", "attention"}),
            )
        assert {n: (len(m._forward_hooks), len(m._forward_pre_hooks)) for n, m in view.model.named_modules()} == before
        assert [p.requires_grad for p in view.model.parameters()] == asks
        assert view.model.training
        assert view.model.model.rope_deltas is deltas
        assert all(p.grad is None for p in view.model.parameters())
    finally:
        view.model.eval()


def test_several_targets_share_one_pass(families):
    _view, question = families("qwen2_vl")
    said = Answer("2 red circle", per="word")(question)
    before = question.forwards
    traces = record(question, said, frozenset({"gradient", "attention_gradient"}))
    assert question.forwards - before == 1 < len(traces) == 3
    alone = record(question, said[1:2], frozenset({"gradient"}))[0]
    torch.testing.assert_close(traces[1].gradients[0], alone.gradients[0], atol=1e-6, rtol=1e-4)


def test_the_map_lies_on_the_pictures_it_is_asked_about(families):
    """Two pictures in one prompt: each has a map of its own, in its own frame."""
    view, question = families("qwen2_vl", count=2)
    maps = explain(
        view, list(question.prompt.sources), prompt="how many red ?", answer="2", trust="off", method="attention"
    )
    assert [tuple(m.frame.source_size.tolist()) for m in maps] == [(50, 70), (50, 50)]
    assert "picture 2 of 2" in maps[1].label
    assert maps[1].picture is question.prompt.sources[1]


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "llava_onevision"])
def test_videos_have_a_map_per_moment(families, family):
    view, _ = families(family)
    rng = np.random.default_rng(1)
    frames = [rng.integers(0, 255, (40, 72, 3), dtype=np.uint8) for _ in range(4)]
    maps = explain(
        view,
        frames,
        prompt="how many red ?",
        answer="2",
        video_fps=2.0,
        method=["attention_gradient", "attention"],
        trust="off",
    )
    moments = 4 if family == "llava_onevision" else 2
    assert len(maps) == 2 * moments
    assert maps[1].picture is frames[4 // moments]
    assert all(tuple(m.frame.source_size.tolist()) == (40, 72) for m in maps)
    prompt = view.ask_video(frames, "how many red ?", fps=2.0)
    streams = view.embed(prompt)
    with torch.no_grad():
        true = view.model(**prompt.inputs, use_cache=False).logits[:, -1]
        torch.testing.assert_close(view.read(prompt, streams, NOTHING).logits[:, -1], true, atol=1e-5, rtol=1e-4)


def test_where_moments_stand_in_time_is_read_with_the_words():
    """Qwen Omni's thinker has no positions without it."""
    view = TransformersVlm(*qwen2_5_omni_thinker())
    frames = np.random.default_rng(1).integers(0, 255, (4, 16, 24, 3), dtype=np.uint8)
    prompt = view.ask_video(list(frames), "?", fps=8.0)
    assert prompt.inputs["video_second_per_grid"].tolist() == [2 / 8]  # two frames a moment
    with torch.no_grad():
        true = view.model(**prompt.inputs, use_cache=False).logits[:, -1]
        read = view.read(prompt, view.embed(prompt), NOTHING).logits[:, -1]
    torch.testing.assert_close(read, true, atol=1e-5, rtol=1e-4)


def test_a_processor_that_writes_times_into_the_prompt_knows_them():
    processor = muse_glimmer()[1]
    frames = np.zeros((4, 16, 24, 3), np.uint8)
    inputs = processor(text=["<|video|>"], **video_arguments(processor, list(frames), 2.0), return_tensors="pt")
    assert len(picture_positions(inputs["input_ids"], processor.video_token_id)) == 2 * 6
    assert inputs["video_metadata"][0].timestamps == [0.0, 0.5, 1.0, 1.5]


def test_a_processor_that_stumbles_over_a_video_says_so(families):
    """As Nemotron's does, which reads the metadata of a video as those of one of them."""
    view, _ = families("qwen2_vl")

    def stumbling(**_):
        raise AttributeError("'list' object has no attribute 'fps'")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(view.processor), "__call__", lambda self, **inputs: stumbling(**inputs))
        with pytest.raises(
            AdapterError, match=r"stumbles over this question .*'fps'\); ask about its frames as pictures"
        ):
            view.ask_video([np.zeros((16, 24, 3), np.uint8)] * 2, "?", fps=2.0)


def test_the_shipped_model_sees_videos():
    """With its own template: two frames a moment, at the size that it was taught, and of one moment its answer is that of the picture."""
    shapes = make_question(HELD_OUT[28], "count")
    view = open_model("tiny-vlm")
    one = view.ask([shapes.picture], shapes.question)
    film = view.ask_video([shapes.picture] * 2, shapes.question, fps=4.0)
    assert [p.count for p in film.pictures] == [one.pictures[0].count]
    assert view.vocabulary.decode(view.answer(film, most=4)).strip() == shapes.answer
    maps = explain(view, [shapes.picture] * 3, prompt=shapes.question, video_fps=4.0, trust="off")
    assert [m.label.rpartition(", ")[2] for m in maps] == ["moment 1 of 2", "moment 2 of 2"]
    evidence = torch.from_numpy(shapes.evidence)[None]
    for m in maps:
        assert float(energy_inside(to_source(m.values, m.frame)[None], evidence)) > 2 * shapes.evidence.mean()
    assert [part.name for part in by_picture(maps)] == ["picture, moment 1 of 2", "picture, moment 2 of 2"]


def test_long_and_large_videos_become_smaller_for_the_shipped_model():
    view = open_model("tiny-vlm", weights="none")
    film = view.ask_video([np.zeros((480, 640, 3), np.uint8)] * 40, "how many red ?", fps=25.0)
    assert len(film.pictures) == 20
    assert 0 < len(film.positions) <= 4 * (192 // 8) ** 2 / 2
    assert (
        len(view.ask_video([np.zeros((480, 640, 3), np.uint8)] * 2, "how many red ?", fps=25.0).positions)
        <= (192 // 8) ** 2
    )


@pytest.mark.parametrize("what", ["image", "video"])
def test_a_template_without_a_place_for_what_is_shown(what):
    """As of a user's model whose template was written for text or for pictures alone."""
    model, processor = FAMILIES["qwen2_vl"]()
    processor.chat_template = "{% for m in messages %}{% for part in m['content'] %}{% if part['type'] == 'audio' %}<a>{% else %} {{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
    view = TransformersVlm(model, processor)
    frames = [np.zeros((40, 72, 3), np.uint8)] * 2
    with pytest.raises(
        AdapterError, match=rf"the chat template of qwen2_vl .* writes nothing for {{'type': '{what}'}}"
    ):
        explain(view, frames, prompt="how many ?", answer="2", video_fps=1.0 if what == "video" else None)


def test_what_is_no_video():
    view = open_model("tiny-vlm", weights="none")
    black = np.zeros((40, 72, 3), np.uint8)
    for frames, fps, message in [
        ([black], 2.0, "a video of one frame"),
        ([black, black[:24]], 2.0, "given were 72 x 40 and 72 x 24 pixels"),
        ([black] * 2, float("nan"), "fps is nan"),
    ]:
        with pytest.raises(OptionError, match=message):
            explain(view, frames, prompt="how many red ?", video_fps=fps)


def test_videos_are_refused_where_they_are_not_known(families):
    frames = [np.zeros((40, 72, 3), np.uint8)] * 2
    with pytest.raises(AdapterError, match="takes no videos; give it frames as pictures"):
        explain(families("paligemma")[0], frames, prompt="how many ?", answer="2", video_fps=1.0)
    with pytest.raises(OptionError, match="fps is 0"):
        explain(families("qwen2_vl")[0], frames, prompt="how many ?", answer="2", video_fps=0.0)


def test_bad_questions(families):
    view, question = families("qwen2_vl")
    picture = question.prompt.sources[0]
    with pytest.raises(OptionError, match="give a prompt"):
        explain(view, picture)
    with pytest.raises(OptionError, match="prompt is empty"):
        explain(view, picture, prompt="  ", answer="2")
    with pytest.raises(OptionError, match="at least one picture"):
        explain(view, [], prompt="how many ?", answer="2")
    with pytest.raises(OptionError, match="answer goes with prompt"):
        explain(view, picture, answer="2")
    with pytest.raises(MethodError, match=r"no method 'gradcamm' for language models; did you mean gradcam"):
        explain(view, picture, prompt="how many ?", method="gradcamm")
    with pytest.raises(OptionError, match="layers, fuse and smooth"):
        explain(view, picture, prompt="how many ?", layers=["x"])
    with pytest.raises(OptionError, match="answers no questions"):
        explain("scenes", picture, prompt="how many ?")
    with pytest.raises(OptionError, match=r"mask has shape \(2, 2, 2\)"):
        explain(view, picture, prompt="how many ?", mask=np.zeros((2, 2, 2)))


def test_a_model_without_a_tokeniser_is_refused():
    from isotherm.models.transformers.view import wrap

    model, processor = FAMILIES["qwen2_vl"]()
    with pytest.raises(AdapterError, match="no processor with a tokeniser"):
        wrap(model)
    with pytest.raises(OptionError, match="takes no classes"):
        wrap(model, processor=processor, classes="cat")
    assert isinstance(wrap(model, processor=processor), TransformersVlm)
