"""Vision-language models that are read as a whole: what is read is what they generate, and covered pixels explain it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as LISTED

import isotherm
from isotherm.errors import AdapterError, MethodError
from isotherm.models.transformers.view import wrap
from isotherm.models.transformers.vlm.checks import writes
from isotherm.models.transformers.vlm.open import vlm_view
from isotherm.models.transformers.vlm.whole import WholeVlm, continued
from isotherm.vlm.choose import token_methods
from isotherm.vlm.explain import explain_answer
from isotherm.vlm.methods import Occlusion
from isotherm.vlm.question import Question
from isotherm.vlm.scores import Answer
from rigs.breadth import wide
from rigs.vlm_askers import florence2, kosmos_2, t5gemma2
from rigs.vlm_black_box import covered_box
from rigs.vlm_decoders import diffusion_gemma, donut, evolla, pi0, pix2struct, pix2struct_header, pp_formulanet, udop
from rigs.vlm_whole import blip, git, idefics, kosmos_2_5, mllama

PICTURE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize("make", [florence2, kosmos_2, *wide([t5gemma2])])
def test_what_is_read_is_what_the_model_says_and_covered_pixels_lie_on_what_they_hide(make):
    model, processor = make()
    view = vlm_view(model, processor)
    assert isinstance(view, WholeVlm)
    prompt = view.ask([PICTURE], "how many red ?")
    said = torch.tensor([[5, 9, 7]])
    with torch.no_grad():
        if model.config.is_encoder_decoder:
            begun = model.generate(**prompt.inputs, max_new_tokens=1)[:, :1]
            theirs = model(**prompt.inputs, decoder_input_ids=torch.cat([begun, said], 1)).logits
        else:
            whole = {name: value for name, value in prompt.inputs.items() if name != "image_embeds_position_mask"}
            mask = torch.cat([prompt.inputs["image_embeds_position_mask"], torch.zeros(1, 3, dtype=torch.long)], 1)
            whole |= {"input_ids": torch.cat([whole["input_ids"], said], 1), "attention_mask": torch.ones_like(mask)}
            theirs = model(**whole, image_embeds_position_mask=mask).logits[:, -4:]
        ours = view.read(prompt, (view.embed(prompt)[0].expand(2, -1, -1),), said.expand(2, -1)).logits
    torch.testing.assert_close(ours, theirs.expand(2, -1, -1), atol=1e-5, rtol=1e-4)
    assert covered_box(view) == 4
    assert token_methods(None, view)[0] == [Occlusion()]


@pytest.mark.parametrize(
    "make", [blip, pix2struct, pix2struct_header, *wide([donut, git, idefics, kosmos_2_5, mllama])]
)
def test_every_token_of_an_answer_has_the_logits_that_it_was_generated_with(make):
    """BLIP leaves out the prompt's last token before it answers, and puts another in the place of the first. The words
    that Pix2Struct is asked are those of its decoder, or are drawn above the picture.
    """
    view = vlm_view(*make())
    assert isinstance(view, WholeVlm)
    prompt = view.ask([PICTURE], "how many red ?")
    out = view.model.generate(
        **prompt.inputs,
        max_new_tokens=6,
        min_new_tokens=6,
        do_sample=False,
        num_beams=1,
        return_dict_in_generate=True,
        output_logits=True,
    )
    said = out.sequences[:, -6:-1]
    with torch.no_grad():
        ours = view.read(prompt, (view.embed(prompt)[0].expand(2, -1, -1),), said.expand(2, -1)).logits
    torch.testing.assert_close(ours, torch.stack(out.logits, 1).expand(2, -1, -1), atol=1e-4, rtol=1e-4)
    assert covered_box(view) == 4


@pytest.mark.parametrize("make", [idefics, *wide([mllama])])
def test_several_pictures_are_asked_about_where_what_is_read_of_them_is_what_the_model_says(make):
    view = vlm_view(*make())
    shown = [PICTURE, PICTURE[:, ::-1].copy()]
    prompt, other = view.ask(shown, "how many red ?"), view.ask([shown[0], 255 - shown[1]], "how many red ?")
    logits = view.model.generate(
        **prompt.inputs, max_new_tokens=1, do_sample=False, return_dict_in_generate=True, output_logits=True
    ).logits[0]
    empty = torch.zeros(1, 0, dtype=torch.long)
    with torch.no_grad():
        read, changed = (view.read(one, view.embed(one), empty).logits[0] for one in (prompt, other))
    torch.testing.assert_close(read, logits, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(read, changed, atol=1e-4)
    maps = explain_answer(view, shown, "how many red ?", score=Answer("red"), methods=[Occlusion(cells=2)], trust="off")
    assert [bool(torch.as_tensor(m.values).abs().max() > 0) for m in maps] == [True, True]


def test_such_a_model_is_explained_by_occlusion_and_other_methods_say_why_not():
    model, processor = florence2()
    asked = {"processor": processor, "prompt": "how many red ?", "target": "whole", "answer": "two red"}
    explained = isotherm.explain(model, PICTURE, trust="off", **asked)
    assert explained[0].meta["layer"] == "pixels"
    assert any("occlusion, which covers pixels" in line for line in explained.chosen)
    with pytest.raises(
        MethodError, match=r"decoder that asks an encoder by cross-attention.* Take the method occlusion"
    ):
        isotherm.explain(model, PICTURE, method="propagation", **asked)
    view = vlm_view(model, processor)
    prompt = view.ask([PICTURE], "?")
    pixels = view.pixels(prompt)
    for part in (
        lambda: view.embed_pixels(prompt, pixels),
        lambda: view.positive_per_cell(prompt, pixels, pixels, ()),
        lambda: view.column(3),
    ):
        with pytest.raises(MethodError, match=r"read as a whole, without vision tokens: .* take occlusion"):
            part()
    with pytest.raises(AdapterError, match=r"takes one image in a prompt; 2 were given: ask about each by itself \("):
        view.ask([PICTURE, PICTURE], "?")
    with pytest.raises(AdapterError, match="gives it no videos; give it frames as pictures"):
        view.ask_video([PICTURE, PICTURE], "?", fps=2.0)


def test_a_word_that_generation_puts_in_front_belongs_to_no_answer():
    model, processor = florence2()
    plain = vlm_view(model, processor)
    model.generation_config.forced_bos_token_id = 2
    view = vlm_view(model, processor)
    prompt = view.ask([PICTURE], "how many red ?")
    tokens = model.generate(**prompt.inputs, max_new_tokens=4, do_sample=False, num_beams=1)[0].tolist()
    assert tokens[1] == 2
    assert view.answer(prompt, most=4) == [token for token in tokens[2:] if token not in view.vocabulary.ends]
    first, second = (Question.of(one, prompt).logits([2][:skip]) for one, skip in ((view, 0), (plain, 1)))
    torch.testing.assert_close(first[0], second[-1])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda logits: tuple(one + torch.randn_like(one) for one in logits), "what it reads differs from"),
        (lambda logits: None, "its generation has no logits that each token was chosen by"),
    ],
)
def test_a_model_is_refused_where_what_is_read_is_not_what_it_says(change, why, monkeypatch):
    model, processor = florence2()
    generate = model.generate

    def other(**arguments):
        out = generate(**arguments)
        out.logits = change(out.logits)
        return out

    monkeypatch.setattr(model, "generate", other)
    with pytest.raises(AdapterError, match=rf"nor can it be read as a whole \(the words alone: {why}"):
        vlm_view(model, processor)


def test_a_model_is_refused_where_pixels_or_words_change_nothing(monkeypatch):
    model, processor = kosmos_2()
    with torch.no_grad():
        model.image_to_text_projection.latent_query.zero_()
        for part in model.image_to_text_projection.parameters():
            part.zero_()
    with pytest.raises(AdapterError, match="the words alone: other pixels change nothing"):
        vlm_view(model, processor)
    model, processor = kosmos_2()
    monkeypatch.setattr(WholeVlm, "_ways", lambda self: {"the words alone": lambda n, prompt: "always"})
    with pytest.raises(AdapterError, match="the words alone: its processor writes the same prompt whatever is asked"):
        vlm_view(model, processor)


def test_a_model_is_refused_whose_processor_makes_more_of_a_picture_than_pixels(monkeypatch):
    """Words that are read in the picture would stay where it is covered."""
    plain = WholeVlm._processed

    def reading(self, pictures, **inputs):
        made = plain(self, pictures, **inputs)
        word = int(pictures[0].reshape(-1, 3)[0, 0]) % 2 + 5
        return made | {"input_ids": torch.cat([made["input_ids"], torch.tensor([[word]])], 1)}

    monkeypatch.setattr(WholeVlm, "_processed", reading)
    with pytest.raises(
        AdapterError, match="the words alone: its processor makes more of a picture than pixels: input_ids"
    ):
        vlm_view(*git())


def test_a_model_is_refused_that_does_not_listen(monkeypatch):
    """All words are one to it, and there are as many of them."""
    model, processor = florence2()
    words = model.get_input_embeddings().weight
    with torch.no_grad():
        words[5:] = words[5].clone()
    plain = WholeVlm._prompt
    monkeypatch.setattr(
        WholeVlm, "_prompt", lambda self, pictures, text: plain(self, pictures, "red red red" if text == "?" else text)
    )
    with pytest.raises(AdapterError, match="other words change nothing"):
        vlm_view(model, processor)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (udop, r"reads words in the picture \(apply_ocr\)"),
        (pi0, "PI0ForConditionalGeneration writes no words"),
        (evolla, "EvollaForProteinText2Text sees no pictures"),
        (pp_formulanet, "its processor writes the same prompt whatever is asked"),
        *wide([(diffusion_gemma, "has no logits that each token was chosen by")]),
    ],
)
@pytest.mark.filterwarnings("ignore")  # of a chat template that is not the model's own
def test_a_model_that_is_not_asked_about_pixels_or_does_not_answer_in_words_is_refused_with_the_reason(make, why):
    model, processor = make()
    with pytest.raises(AdapterError, match=why):
        vlm_view(model, processor)


def test_models_that_write_about_pictures_are_known_by_more_than_their_class_names():
    """Fuyu, GIT, IDEFICS and others were refused as models of another job."""
    others = {kind for kind in LISTED.values() if not kind.endswith("ForConditionalGeneration")}
    no_pictures = {"EvollaForProteinText2Text", "Mistral4ForCausalLM"}
    assert {"FuyuForCausalLM", "GitForCausalLM", "IdeficsForVisionText2Text", *no_pictures} <= others
    assert {kind for kind in others if not writes(getattr(transformers, kind))} == no_pictures
    assert writes(transformers.Phi4MultimodalForCausalLM)
    assert not writes(transformers.CLIPModel)
    assert isinstance(wrap(git()[0], processor=git()[1]), WholeVlm)


def test_what_the_last_token_of_a_prompt_has_those_of_the_answer_have_too():
    mask = torch.tensor([[[1, 0], [0, 1]]])
    assert continued(mask, torch.zeros(1, 2, dtype=torch.long)).tolist() == [[[1, 0], [0, 1], [0, 1], [0, 1]]]
