"""The small vision-language model: inputs as its processor makes them, runs that are gone on with, and the same bits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from PIL import Image

from isotherm.data.shape_questions import VALIDATION, further_questions, make_question
from isotherm.errors import OptionError, WeightsError
from isotherm.models.transformers.vlm.layouts.layout import check_layout, coordinate_picture
from isotherm.models.transformers.vlm.layouts.qwen import QwenLayout
from isotherm.progress import Progress
from isotherm.train.loop import run_loop
from isotherm.train.run_folder import RunFolder
from isotherm.train.schedule import Schedule
from isotherm.zoo.tiny_vlm.network import SPECIAL, WORDS, load_tiny_vlm, random_tiny_vlm, save_tiny_vlm, tiny_processor
from isotherm.zoo.tiny_vlm.training import NUMBER, QuestionTask, TinyVlmTraining, accuracy, as_dialogues, as_inputs

CONFIG = TinyVlmTraining(steps=6, batch=8, log_every=2, keep_every=3, schedule=Schedule(warm_up=2))


def test_inputs_are_those_of_the_processor():
    asked, processor = [make_question(i) for i in range(4)], tiny_processor()
    texts = []
    for q in asked:
        message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": q.question}]}
        texts.append(processor.apply_chat_template([message], add_generation_prompt=True))
    real = processor(text=texts, images=[Image.fromarray(q.picture) for q in asked], return_tensors="pt")
    mine = as_inputs(asked)
    assert set(real) == set(mine)
    for name, value in mine.items():
        torch.testing.assert_close(value, real[name], atol=1e-6, rtol=0, check_dtype=False)


def test_every_word_has_a_number_and_comes_back():
    tokenizer = tiny_processor().tokenizer
    assert len(NUMBER) == len(SPECIAL) + len(WORDS)
    for word, number in NUMBER.items():
        assert tokenizer(word).input_ids == [number]
        assert tokenizer.decode([number]) == word


def test_the_tokens_of_its_processor_lie_where_they_are_said_to():
    processor = tiny_processor()
    layout, sizes = QwenLayout.of(processor.image_processor), [(48, 48), (70, 40)]
    pictures = [Image.fromarray(coordinate_picture(size)) for size in sizes]
    text = "<|vision_start|><|image_pad|><|vision_end|> <|vision_start|><|image_pad|><|vision_end|> how many red ?"
    inputs = processor(text=[text], images=pictures, return_tensors="pt")
    assert check_layout(layout, inputs, sizes, mean=[0.5] * 3, std=[0.5] * 3) < 0.2
    counts = [p.count for p in layout.pictures(inputs, sizes)]
    assert sum(counts) == int((inputs["input_ids"] == NUMBER["<|image_pad|>"]).sum())


def test_random_weights_follow_the_seed_and_know_nothing():
    one, two = random_tiny_vlm(3), random_tiny_vlm(3)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    assert 600_000 < sum(p.numel() for p in one.parameters()) < 700_000
    assert accuracy(one, VALIDATION[:40])["where"] < 0.4


def fit(config, dpath, **options):
    return run_loop(config, QuestionTask(config, random_tiny_vlm(config.seed)), RunFolder(dpath, {}), **options)


def test_a_run_in_pieces_ends_in_the_same_bits(tmp_path):
    torch.set_num_threads(1)
    whole = fit(CONFIG, tmp_path / "whole")
    said = []

    def stop(message):
        said.append(message)
        if isinstance(message, Progress) and message.step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(CONFIG, tmp_path / "cut", say=stop)
    again = fit(CONFIG, tmp_path / "cut", say=said.append)
    assert "going on from step 3" in said
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True))


def test_bad_recipes():
    with pytest.raises(OptionError, match=r"at most 2\*\*24 questions"):
        replace(CONFIG, steps=10**7)
    with pytest.raises(OptionError, match="seed is -1"):
        replace(CONFIG, seed=-1)


def test_kept_and_opened_again(tmp_path):
    model = random_tiny_vlm(1)
    again = load_tiny_vlm(save_tiny_vlm(model, tmp_path / "model.safetensors", seed=1))
    inputs = as_inputs([make_question(3)])
    with torch.no_grad():
        torch.testing.assert_close(
            again(**inputs).logits, model(**inputs).logits, atol=0.05, rtol=0.02
        )  # kept in float16
    assert again.lm_head.weight is again.model.language_model.embed_tokens.weight
    assert (tmp_path / "model.safetensors").stat().st_size < 1_400_000
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="cannot be read"):
        load_tiny_vlm(tmp_path / "bad.safetensors")
    with pytest.raises(WeightsError, match=r"there is no file .*missing\.safetensors, expected a trained tiny-vlm"):
        load_tiny_vlm(tmp_path / "missing.safetensors")


def test_dialogues_ask_for_answers_and_their_ends():
    seeds = [3, 4]
    asked = [make_question(s) for s in seeds]
    inputs, wanted = as_dialogues(asked, seeds)
    name = {number: word for word, number in NUMBER.items()}
    for row, (first, seed) in enumerate(zip(asked, seeds, strict=True)):
        said = [name[int(n)] for n in inputs["input_ids"][row]]
        turns = [(first.question, first.answer), *further_questions(first, seed)]
        text = " ".join(f"{question} {answer} <eos>" for question, answer in turns)
        assert " ".join(said).replace(" <pad>", "").endswith(text)
        # what is wanted at a place is what stands behind it, and only answers and ends are
        at = torch.nonzero(wanted[row] != -100).flatten()
        assert torch.equal(wanted[row][at], inputs["input_ids"][row][at + 1])
        assert [name[int(n)] for n in wanted[row][at]] == [word for _, answer in turns for word in (answer, "<eos>")]
