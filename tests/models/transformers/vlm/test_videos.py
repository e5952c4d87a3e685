"""Videos of every family that takes them: a square in one frame moves the token of its moment and its place; what is refused is named."""

from __future__ import annotations

import numpy as np
import pytest

from isotherm.errors import AdapterError
from rigs import vlm_videos
from rigs.breadth import wide
from rigs.vlm_kin import opened
from rigs.vlm_videos import video_box

MOMENTS = {"qwen3_vl": 2, "llava_onevision": 4, "glm4v": 2, "dots3_note": 4}
"""Two frames in one moment, pooled squares, frames that are marked as pictures are, a frame in each moment."""
OTHERS = {
    "qwen2_vl": 2,
    "qwen2_5_vl": 2,
    "qwen3_vl_moe": 2,
    "qwen3_5": 2,
    "qwen3_5_moe": 2,
    "glm4v_moe": 2,
    "glm46v": 2,
    "glm_ocr": 2,
    "glmga": 2,
    "glm5_next": 2,
    "video_llama_3": 4,
    "llava_next_video": 4,
    "video_llava": 4,
    "gemma4": 4,
    "gemma4_unified": 4,
    "lfm3_vl": 2,
    "minicpmv4_6": 4,
    "minicpmv4_7": 4,
    "minicpm_ocr": 4,
    "exaone4_5": 2,
    "hyperclovax_vision_v2": 2,
    "molmo2": 4,
    "perception_lm": 4,
    "minimax_m3_vl": 2,
    "cohere_compass": 2,
    "qwen2_5_omni_thinker": 2,
    "qwen3_omni_moe_thinker": 2,
    "muse_glimmer": 2,
    "muse_spark": 2,
    "qwen4_exp": 2,
    "cosmos3_edge": 4,
}


@pytest.mark.filterwarnings("ignore")  # of packages that would be faster
@pytest.mark.parametrize(("name", "moments"), [*MOMENTS.items(), *wide(OTHERS.items())])
def test_pixels_of_one_frame_move_the_token_of_their_moment_and_place(name, moments):
    verdict = video_box(opened(name), (40, 72))
    assert verdict.moments == moments
    assert verdict.right, verdict


def test_a_wrong_moment_is_seen(monkeypatch):
    """So that the verdicts above say something: the model is shown the frames in another order."""
    in_order = vlm_videos.entering
    monkeypatch.setattr(
        vlm_videos,
        "entering",
        lambda model, processor, frames, **more: in_order(model, processor, frames[::-1], **more),
    )
    verdict = video_box(opened("qwen3_vl"), (40, 72))
    assert not verdict.right
    assert verdict.stray > 1


REFUSED = {
    "internvl": "has its processor show the frames of a video as pictures; give it frames as pictures",
    "llava": "takes no videos; give it frames as pictures",
    "ernie4_5_vl_moe": r"stumbles over this question \(OSError: cannot open resource\); ask about its frames as pictures",
}
"""A processor that makes pictures of frames, none for videos, one that needs a font to write the time on the frames."""
REFUSED_TOO = {
    "smolvlm": "has its processor show the frames of a video as pictures",
    "kimi_k25": r"stumbles over this video \(RuntimeError: split_with_sizes .*\); ask about its frames as pictures",
    "nemotron_h_omni": "stumbles over this question .* ask about its frames as pictures",
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "message"), [*REFUSED.items(), *wide(REFUSED_TOO.items())])
def test_why_a_family_is_given_no_videos_is_said(name, message):
    frames = [np.zeros((40, 72, 3), np.uint8)] * 4
    with pytest.raises(AdapterError, match=message):
        opened(name).ask_video(frames, "?", fps=2.0)
