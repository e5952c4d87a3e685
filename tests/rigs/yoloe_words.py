"""A YOLOE that is told by words what to look for, and the text encoder that it asks, as far as both can be had offline.

The package's own code is run to the end: it imports CLIP for the tokenizer, opens the TorchScript file of MobileCLIP, and
sends what that gives through the model's own text head. Only the three things that would be downloaded stand in: the
tokenizer (bytes for CLIP's vocabulary), the encoder (a seeded vector for each word), and the trained weights.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from isotherm.models.ultralytics.input import letterbox
from rigs.yolo_models import make_yolo

WORDS = ("red cup", "lamp")
SIZE = 96
MODULES = Path(__file__).parent / "text_encoder"
"""A folder for the module path of a process, with the stand-in for CLIP."""
WEIGHTS = "yoloe-words-seg.pt"
ENCODER = "mobileclip_blt.ts"
"""The file that the package opens where a process is started, and downloads where it is not there."""
WIDTH = 512


class Encoder(nn.Module):
    """Unit vectors of texts: the sum of one seeded row for each number at its place."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.randn(1024, WIDTH, generator=torch.Generator().manual_seed(0)))

    def forward(self, tokens: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        rows = self.table[(tokens + 31 * places) % len(self.table)] * (tokens > 0).unsqueeze(-1)
        return nn.functional.normalize(rows.sum(1), dim=-1)


def write_encoder(dpath: Path) -> Path:
    """The encoder's file in a folder, as TorchScript."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's, about TorchScript: it is what the package reads
        torch.jit.script(Encoder()).save(str(dpath / ENCODER))
    return dpath / ENCODER


@contextmanager
def stand_in_for_clip() -> Iterator[None]:
    """CLIP can be imported in this process as long as the block lasts; what was imported with it is forgotten then."""
    sys.path.insert(0, str(MODULES))
    try:
        yield
    finally:
        sys.path.remove(str(MODULES))
        for name in ("clip", "clip.clip", "ultralytics.nn.text_model"):
            sys.modules.pop(name, None)


def write_yoloe(dpath: Path, picture: Path, words: tuple[str, ...] = WORDS) -> Path:
    """A checkpoint without classes of its own, of the smallest YOLOE.

    Untrained, so what it finds is chance; but a handful of cells of the picture are sure of each of the words.

    Args:
        dpath: where it is written.
        picture: that it finds the words in.
        words: that it finds.
    """
    yolo = make_yolo("yoloe-11n-seg.yaml")
    model = yolo.model.eval()
    head = model.model[-1]
    with torch.no_grad():
        embeddings = head.get_tpe(encoded(words)[None])
        like = next(model.parameters())
        pixels = np.asarray(Image.open(picture).convert("RGB"))
        inputs = letterbox([pixels], (SIZE, SIZE), stride=32, like=like, square=True)
        contrasts = [module for module in head.modules() if hasattr(module, "logit_scale")]
        handles = [module.register_forward_hook(_few) for module in contrasts]
        model.set_classes(list(words), embeddings)
        model(inputs.tensor)
        for handle in handles:
            handle.remove()
    del model.pe
    head.shape = None
    yolo.save(dpath / WEIGHTS)
    return dpath / WEIGHTS


def encoded(words: tuple[str, ...]) -> Tensor:
    """(n, 512) vectors of words, without the package."""
    from rigs.text_encoder.clip.clip import tokenize

    return Encoder()(tokenize(list(words)))


def _few(contrast: nn.Module, _args: object, out: Tensor) -> None:
    """Scale and shift a level's logits so that only its surest cells are found."""
    factor = 1.5 / out.std()
    contrast.logit_scale += factor.log()
    contrast.bias.copy_(-3.0 - (out.mean() - contrast.bias) * factor)
