"""What every arm changes, and that nothing else is."""

from __future__ import annotations

import copy
import re

import pytest

from isotherm.errors import OptionError
from isotherm.gaze.fusion.choose import FUSIONS
from isotherm.train.anticipation.arms import WORDS, arm_recipe, folder_name
from isotherm.train.anticipation.run import BEST, recipe_from, train_run
from rigs.anticipation import plain_anticipation
from rigs.breadth import wide


def differences(a, b, path=""):
    if isinstance(a, dict) and isinstance(b, dict):
        return {p for key in {*a, *b} for p in differences(a.get(key), b.get(key), f"{path}.{key}" if path else key)}
    return set() if a == b else {path}


@pytest.mark.parametrize("arm", [*WORDS, "fusion:attention_bias"])
def test_an_arm_changes_what_it_says(arm):
    plain = plain_anticipation()
    before = copy.deepcopy(plain)
    recipe = recipe_from(arm_recipe(plain, arm, seed=3))
    assert plain == before
    real = recipe_from(arm_recipe(plain, "real", seed=3))
    assert recipe.model.seed == recipe.training.seed == 3
    changed = differences(real.deciding(), recipe.deciding())
    expected = {
        "none": {"model.fusion"},
        "real": set(),
        "gaze-only": {"training.gaze.blind"},
        "zeros": {"model.fusion.states"},
        "fusion:attention_bias": {"model.fusion.name"},
    }
    assert changed == expected.get(arm, {"training.gaze.condition"})


# tests/gaze/fusion trains a step of every fusion
@pytest.mark.parametrize(
    "arm", [*WORDS, "fusion:interleave", *wide(f"fusion:{name}" for name in FUSIONS if name != "interleave")]
)
def test_every_arm_can_be_trained(arm, tmp_path):
    recipe = recipe_from(arm_recipe(plain_anticipation(steps=1, keep_every=1), arm, seed=0))
    train_run(recipe, tmp_path / "run", root=tmp_path)
    assert (tmp_path / "run" / BEST).is_file()


def test_gaze_from_elsewhere_is_for_every_source():
    plain = plain_anticipation()
    plain["data"] = {name: [{"file": f"{name}.csv", "videos": "v"}] for name in ("train", "validation", "held_out")}
    data = arm_recipe(plain, "source:other/{video}.parquet", seed=0)["data"]
    assert [data[name][0]["gaze"] for name in data] == ["other/{video}.parquet"] * 3


@pytest.mark.parametrize(
    ("arm", "change", "words"),
    [
        ("shufled", {}, "shuffled"),
        ("source", {}, "source:PATH"),
        ("fusion:", {}, "fusion:NAME"),
        ("fusion:glue", {}, "glue"),
        ("source:a", {}, "drawn with"),
        ("none", {"fusion": None}, "nothing to ablate"),
    ],
)
def test_what_is_no_arm_is_refused(arm, change, words):
    plain = plain_anticipation()
    plain["model"] |= change
    with pytest.raises(OptionError, match=words):
        arm_recipe(plain, arm, seed=0)


def test_every_arm_has_a_folder_of_its_own():
    """Also where case says nothing, and where a name would be too long, or one of the folders above."""
    paths = (
        "a/b",
        "a-b",
        "a:b",
        "a_b",
        "A/b",
        "a//b",
        "a\\b",
        "a b",
        "..",
        ".",
        "/",
        "-",
        "a",
        "a-",
        "ä",
        "a.b",
        "x" * 300,
    )
    arms = [*WORDS, *(f"fusion:{name}" for name in FUSIONS), *(f"source:{path}" for path in paths)]
    # what the folder of another arm is called
    arms += [f"source:{folder_name('source:a/b').removeprefix('source-')}", "source:fusion-patch_add"]
    names = [folder_name(arm) for arm in arms]
    assert len({name.lower() for name in names}) == len(arms)
    assert all(re.fullmatch(r"[a-z0-9_-]{1,80}", name) for name in names)
    assert folder_name("gaze-only") == "gaze-only"
    assert folder_name("fusion:patch_add") == "fusion-patch_add"
