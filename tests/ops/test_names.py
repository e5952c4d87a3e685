"""Words that a person may misspell: refused with the nearest ones, wherever an option takes words."""

from __future__ import annotations

import pytest
import torch

from isotherm.cam.methods import RISE, gradcam
from isotherm.cam.trace import LayerMap, fuse
from isotherm.cam.trust import assessor
from isotherm.cam.view import Layout
from isotherm.decode.dark import dark
from isotherm.errors import FrameError, OptionError
from isotherm.frame import Frame
from isotherm.metrics import compare
from isotherm.ops.names import check_seed, known_word, near_names, seeded
from isotherm.ops.resample import to_frame
from isotherm.train.sweep import SweepConfig
from isotherm.vlm.explain import explain_answer
from isotherm.vlm.methods import AttentionGradient

FRAME = Frame.identity((4, 4))
MAP = LayerMap("layer", torch.rand(1, 4, 4), Frame.stack([FRAME]))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: fuse([MAP], "maximum"), "fuse is 'maximum'; did you mean 'max'"),
        (lambda: assessor(None, [gradcam], "auto", "mean", "fulll"), "level is 'fulll'; did you mean 'full'"),
        (lambda: Layout("nhcw"), "order is 'nhcw'; did you mean 'nhwc' or 'nchw'"),
        (lambda: to_frame(torch.rand(4, 4), FRAME, FRAME, outside="edges"), "outside is 'edges'; did you mean 'edge'"),
        (lambda: to_frame(torch.rand(4, 4), FRAME, FRAME, mode="bicubic"), "mode is 'bicubic'"),
        (lambda: FRAME.letterboxed((8, 8), align="corners"), "align is 'corners'; expected 'centre' or 'corner'"),
        (
            lambda: dark(torch.rand(1, 8, 8), Frame.identity((8, 8)), stencil="upd"),
            "stencil is 'upd'; did you mean 'udp'",
        ),
        (
            lambda: compare(
                torch.rand(1, 4, 4),
                torch.rand(1, 1, 4, 4),
                lambda x, t: x.sum((1, 2, 3)),
                fill=torch.zeros(1),
                grid=(2, 2),
                centre=("deletions",),
            ),
            "centre is 'deletions'; did you mean 'deletion'",
        ),
        (lambda: SweepConfig(recipe="r", values={"seed": (1, 2)}, search="tep"), "search is 'tep'; did you mean 'tpe'"),
        (
            lambda: explain_answer(None, [], "", score=None, methods=[], trust="fsat"),
            "trust is 'fsat'; did you mean 'fast'",
        ),
        (lambda: AttentionGradient(queries="answers"), "queries is 'answers'; did you mean 'answer'"),
    ],
)
def test_no_misspelt_word_passes_for_another(call, says):
    with pytest.raises((OptionError, FrameError), match=says):
        call()


def test_known_words_and_near_names():
    assert known_word("a", ("a", "b"), "x") == "a"
    with pytest.raises(OptionError, match=r"^--x is 3; it takes a, b, or a file$"):
        known_word(3, ("a", "b"), "--x", also="a file")
    assert near_names(["trsut"], ["trust", "trust", "names"]) == "; did you mean trust?"
    assert near_names(["batch"], ["batch"]) == ""


@pytest.mark.parametrize("seed", [-1, 2**63, 0.0, "1", True])
def test_what_is_no_seed(seed):
    with pytest.raises(OptionError, match="seed is"):
        check_seed(seed)
    check_seed(None)
    check_seed(2**63 - 1)


def test_seeds_reach_methods_that_draw():
    assert seeded(RISE(masks=9), 4) == RISE(masks=9, seed=4)
    assert seeded(gradcam, 4) is gradcam
