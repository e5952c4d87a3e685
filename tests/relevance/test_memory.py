"""Batches that memory is too small for are halved, with a word and equal results."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm import explain
from isotherm.cam import methods
from isotherm.cam.attribute import attribute
from isotherm.cam.scores import Classes
from isotherm.cli import main
from isotherm.relevance.memory import parts_within_memory, within_memory
from rigs.tiny_views import TinyClassifier

PICTURE = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)


def small(most: int, seen: list[int]):
    """A function whose memory holds so many rows."""

    def run(part: slice) -> torch.Tensor:
        count = part.stop - part.start
        seen.append(count)
        if count > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return torch.arange(10.0)[part]

    return run


@pytest.mark.parametrize(("most", "seen"), [(10, [10]), (5, [10, 5, 5]), (3, [10, 5, 2, 2, 2, 2, 2]), (1, None)])
@pytest.mark.filterwarnings("ignore:the accelerator")
def test_halves_of_halves_until_they_fit(most, seen):
    counts: list[int] = []
    assert within_memory(10, small(most, counts)).equal(torch.arange(10.0))
    assert seen is None or counts == seen


def test_it_is_said_and_one_row_that_does_not_fit_is_an_error():
    with pytest.warns(UserWarning, match="too small for 10 pictures at once: gone on with 5"):
        within_memory(10, small(5, []))
    with pytest.raises(torch.OutOfMemoryError):
        within_memory(1, small(0, []))
    assert parts_within_memory(0, lambda part: part) == [slice(0, 0)]


class Narrow(TinyClassifier):
    """A classifier whose accelerator holds two pictures."""

    most = 2

    def run(self, inputs):
        if len(inputs) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().run(inputs)


@pytest.mark.parametrize("method", ["rise", "occlusion", "scorecam", "integratedgradients"])
@pytest.mark.filterwarnings("ignore:the accelerator", "ignore:integrated gradients")
def test_maps_that_need_many_passes_are_the_same(method):
    made = []
    for view in (TinyClassifier, Narrow):
        torch.manual_seed(0)
        explained = view()
        inputs = explained.prepare([PICTURE])
        options = {"rise": {"masks": 20}}.get(method, {})
        one = getattr(methods, method)
        chosen = type(one)(**options) if options else one
        made.append(attribute(explained, inputs, methods=[chosen], score=Classes((1,))).maps[0].values)
    torch.testing.assert_close(made[0], made[1], rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:the accelerator")
def test_verdicts_are_the_same():
    lines = []
    for view in (TinyClassifier, Narrow):
        torch.manual_seed(0)
        lines.append(explain(view(), PICTURE, target=Classes((1,)), trust="full").trust_lines)
    assert lines[0] == lines[1]


def test_on_the_console_a_picture_that_does_not_fit_is_answered_in_words(tmp_path, monkeypatch, capsys):
    def run(options, arguments):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB\nof which")

    monkeypatch.setattr("isotherm.cli.explain.run", run)
    assert main(["explain", "a.png"]) == 2
    said = capsys.readouterr().err
    assert "too small for a single picture: choose a smaller --size" in said
    assert "Traceback" not in said
