"""Pictures that come into a language model at several of its layers, and not in front of the first."""

from __future__ import annotations

import numpy as np
import torch

from isotherm.models.transformers.vlm.layouts.placeless import PlacelessLayout
from isotherm.models.transformers.vlm.view import TransformersVlm
from rigs.vlm_kin import EVERY


def test_tokens_of_single_layers_are_read_as_the_model_reads_them():
    """Granite 4 Vision's tokens are zero in front of the first layer, and come in at six."""
    model, processor = EVERY["granite4_vision"]()
    layout = PlacelessLayout("not asked here", token_id=model.config.image_token_id)
    view = TransformersVlm(model, processor, layout=layout)
    prompt = view.ask([np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)], "how many ?")
    streams = view.embed(prompt)
    assert len(streams) == 7
    assert not streams[0].any()
    answer = torch.tensor([[5, 6]])
    with torch.no_grad():
        whole = torch.cat([prompt.inputs["input_ids"], answer], 1)
        true = model(**prompt.inputs | {"input_ids": whole, "attention_mask": None}).logits
        read = view.read(prompt, streams, answer)
        others = [view.read(prompt, (*streams[:i], streams[i] + 1, *streams[i + 1 :]), answer) for i in range(7)]
    torch.testing.assert_close(read.logits, true[:, -3:], atol=1e-5, rtol=1e-4)
    assert all((other.logits - read.logits).abs().max() > 1e-3 for other in others)
