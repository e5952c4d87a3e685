"""Pictures to begin with: scenes, and shapes that are the first held-out questions of the shipped vision-language model."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from isotherm.cli.demo_questions import QUESTIONS
from isotherm.data.shape_questions import HELD_OUT, make_question
from isotherm.studio.samples import samples


def test_scenes_and_shapes_are_there_whatever_is_installed():
    titles = [sample.title for name, sample in samples().items() if name.startswith(("scene", "shapes"))]
    assert titles == [*(f"Scene {i}" for i in range(1, 6)), *(f"Shapes {i}" for i in range(1, 4))]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_shapes_are_those_of_the_demo(number):
    kind, index = QUESTIONS[number - 1]
    with Image.open(samples()[f"shapes-{number}"].fpath) as picture:
        assert np.array_equal(np.asarray(picture), make_question(HELD_OUT[index], kind).picture)
