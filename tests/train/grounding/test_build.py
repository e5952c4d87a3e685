"""A choice is a model, a file gives the model back, and what cannot be is refused."""

from __future__ import annotations

import json

import pytest
import torch

from isotherm.decode import Abstention
from isotherm.errors import OptionError, WeightsError
from isotherm.grounding.answer import Calibration
from isotherm.grounding.outputs import Outputs
from isotherm.jobs.train.recipe_modules import recipe_module
from isotherm.train.grounding import run
from isotherm.train.grounding.build import (
    FILE,
    GroundingChoice,
    TrainedGrounding,
    make_grounding,
    map_size,
    open_grounding,
    save_grounding,
)
from isotherm.train.grounding.objective import GroundingObjective
from isotherm.train.grounding.task import GroundingTraining, grounding_groups
from isotherm.train.peft import Lora

WHOLE = GroundingChoice(
    model="tiny-grounding", pretrained=False, frozen=False, head_options={"ratio": 4, "hidden_dim": 8}, side=64, seed=3
)
PICTURE = torch.randint(0, 255, (64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)).numpy()


def trained(choice=WHOLE, **parts) -> TrainedGrounding:
    model = make_grounding(choice, Outputs()).eval()
    return TrainedGrounding(
        model=model, choice=choice, objective=GroundingObjective(sigma=1.5), outputs=Outputs(), side=64, **parts
    )


def maps(model):
    with torch.no_grad():
        return model(model.batch([[PICTURE]], ["pick the red block"]))


@pytest.mark.parametrize("half", [False, True])
def test_a_file_gives_the_model_back(tmp_path, half):
    """With all of a language model that was trained whole, each weight once."""
    rule = Calibration(temperature=1.5, covariance_scale=2.0, abstention=Abstention(float("inf"), 0.0, 1.0, 0.0))
    first = trained(calibration=rule, view_names=("top",), facts={"steps": 5})
    torch.nn.init.normal_(first.model.vlm.get_decoder().layers[0].self_attn.q_proj.weight, std=0.1)
    fpath = save_grounding(first, tmp_path / "a.safetensors", half=half)
    second, line = open_grounding(fpath)
    assert line == f"model {fpath}"
    assert (second.calibration, second.choice, second.view_names) == (rule, WHOLE, ("top",))
    assert second.facts == {"steps": 5}
    assert second.model.instruction_change == pytest.approx(first.model.instruction_change)
    assert torch.allclose(maps(second.model), maps(first.model), atol=0.1 if half else 0)
    names = FILE.read(fpath).tensors
    assert not any("lm_head" in name for name in names) or not any("embed_tokens" in name for name in names)
    size = sum(p.numel() for p in first.model.parameters())
    assert fpath.stat().st_size < size * (2 if half else 4) + 60_000


def test_a_frozen_language_model_stays_with_its_name(tmp_path):
    choice = GroundingChoice(model="tiny-grounding", pretrained=False, head_options={"ratio": 2}, side=64)
    fpath = save_grounding(trained(choice), tmp_path / "a.safetensors")
    assert not any(name.startswith("vlm.") for name in FILE.read(fpath).tensors)
    assert torch.equal(maps(open_grounding(fpath)[0].model), maps(trained(choice).model))


def test_files_that_are_none_are_refused(tmp_path):
    fpath = save_grounding(trained(), tmp_path / "a.safetensors")
    whole = FILE.read(fpath)
    FILE.write(fpath, whole.tensors, whole.header | {"choice": {"model": 3}})
    with pytest.raises(WeightsError, match="cannot be read as a grounding model of isotherm"):
        open_grounding(fpath)
    some = dict(list(whole.tensors.items())[1:])
    FILE.write(fpath, some, json.loads(json.dumps(whole.header)))
    with pytest.raises(WeightsError, match="does not fit its own description: missing"):
        open_grounding(fpath)


def test_what_is_trained_and_how_fast():
    """The head at the rate, the language model at its share of it, or not at all; norms and biases do not decay."""
    config = GroundingTraining(rate=0.1, decay=0.5, language_rate=0.01)
    whole = grounding_groups(make_grounding(WHOLE, Outputs()), config)
    assert sorted({(g.rate, g.decay) for g in whole}) == [(0.001, 0.0), (0.001, 0.5), (0.1, 0.0), (0.1, 0.5)]
    lora = GroundingChoice(
        model="tiny-grounding", pretrained=False, frozen=False, lora=Lora(rank=2), head_options={"ratio": 2}, side=64
    )
    model = make_grounding(lora, Outputs())
    small = [g for g in grounding_groups(model, config) if g.rate < 0.01]
    assert sum(p.numel() for g in small for p in g.parameters) < 0.1 * sum(p.numel() for p in model.vlm.parameters())
    layers = len(model.vlm.get_decoder().layers)
    assert len(small[0].parameters) == 2 * 7 * layers  # two matrices beside each linear layer of the language part
    frozen = grounding_groups(make_grounding(GroundingChoice(**{**vars(WHOLE), "frozen": True}), Outputs()), config)
    assert {g.rate for g in frozen} == {0.1}


def test_the_head_is_chosen_to_go_with_the_tokens():
    model = make_grounding(GroundingChoice(model="tiny-grounding", pretrained=False), Outputs(steps=2))
    assert model.head.ratio == 8
    assert map_size(model, side=64, views=1) == (64, 64)
    assert maps(model).shape == (1, 1, 2, 64, 64)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head_options": {"rati": 2}}, "head_options are .*rati"),
        ({"model": "scenes"}, "model is 'scenes', which is no vision-language model"),
        ({"lora": Lora(layers=("nothing",)), "frozen": False}, "no linear layer of .* ends in nothing"),
        ({"lora": Lora(), "frozen": True}, "lora adapts the language model, so it is not frozen"),
        ({"side": 8}, "side is 8; expected at least 16"),
    ],
)
def test_choices_that_cannot_be_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        make_grounding(GroundingChoice(**({"model": "tiny-grounding", "pretrained": False} | options)), Outputs())


def test_another_seed_is_another_head_and_another_language_model():
    first, second, again = (make_grounding(GroundingChoice(**{**vars(WHOLE), "seed": k}), Outputs()) for k in (0, 1, 0))
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    for part in ("head.net_out.0.weight", "vlm.model.language_model.layers.0.self_attn.q_proj.weight"):
        assert not torch.equal(first.state_dict()[part], second.state_dict()[part])


def test_sweeps_know_this_kind_of_recipe():
    assert recipe_module("grounding") is run
