"""Models of every family, opened once."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

sys.path[:0] = [str(Path(__file__).parent)]


@cache
def _opened(family: str):
    from isotherm.models.transformers.vlm.view import TransformersVlm
    from vlm_models import FAMILIES

    return TransformersVlm(*FAMILIES[family]())


@pytest.fixture
def families():
    """A view of a family and a question in work."""
    from isotherm.vlm.asking import Question

    def make(family: str, *, count: int = 1, prompt: str = "how many red ?"):
        view = _opened(family)
        rng = np.random.default_rng(0)
        pictures = [rng.integers(0, 255, (50, 70 - 20 * i, 3), dtype=np.uint8) for i in range(count)]
        return view, Question.of(view, view.ask(pictures, prompt))

    return make
