"""Generated tables and their instructions, drawn once and kept in memory, and prompts about them as the processor makes
them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from isotherm.data.tabletop import KINDS, make_tabletop
from isotherm.frame import Frame
from isotherm.progress import Progress, Say, silent
from isotherm.vlm.batch import PromptBatch
from isotherm.vlm.tokens import TokenGrid
from isotherm.zoo.tiny_grounding.network import PATCH, SIDE, TOKENS, numbers


@dataclass(frozen=True, eq=False)
class TableInstructions:
    """Instructions about tables, each seen in several views.

    Args:
        views: their names.
        pictures: (t, v, h, w, 3) of every table.
        table: (n) of every instruction.
        kind: (n) its number among :data:`isotherm.data.tabletop.KINDS`.
        texts: n instructions in words.
        xy: (n, v, 2) the place that is meant, in edge-origin pixels of every view.
        point: (n, 3) the same in the world, in metres.
        blocks: (t) how many there are.
    """

    views: tuple[str, ...]
    pictures: UInt8[np.ndarray, "t v h w 3"]
    table: Int[Tensor, " n"]
    kind: Int[Tensor, " n"]
    texts: tuple[str, ...]
    xy: Float[Tensor, "n v 2"]
    point: Float[Tensor, "n 3"]
    blocks: Int[Tensor, " t"]

    def __len__(self) -> int:
        return len(self.texts)

    def shown(self, index: Int[Tensor, " b"], view: Int[Tensor, " b"] | int) -> UInt8[np.ndarray, "b h w 3"]:
        """The pictures of instructions by number, each in a view by number."""
        return self.pictures[self.table[index].numpy(), view if isinstance(view, int) else view.numpy()]


def draw_tables(
    seeds: Sequence[int], views: tuple[str, ...], *, samples: int = 2, say: Say = silent
) -> TableInstructions:
    """The tables of some seeds with all their instructions.

    Args:
        seeds: of them.
        views: by name, see :func:`isotherm.data.tabletop.make_tabletop`.
        samples: rays along each side of a pixel.
        say: how far it is.
    """
    pictures = np.empty((len(seeds), len(views), SIDE, SIDE, 3), np.uint8)
    table, kind, texts, xy, points, blocks = [], [], [], [], [], []
    began = time.perf_counter()
    for i, seed in enumerate(seeds):
        drawn = make_tabletop(seed, size=SIDE, samples=samples, views=views)
        pictures[i] = [drawn.views[name].picture for name in views]
        blocks.append(len(drawn.blocks))
        for instruction in drawn.instructions:
            places = drawn.points(instruction)
            table.append(i)
            kind.append(KINDS.index(instruction.kind))
            texts.append(instruction.text)
            xy.append([places[name] for name in views])
            points.append(instruction.point)
        if (i + 1) % 200 == 0 or i + 1 == len(seeds):
            pace = f"{(i + 1) / (time.perf_counter() - began):.0f} a second"
            say(Progress(step=i + 1, total=len(seeds), text=pace, stage="drawing tables"))
    return TableInstructions(
        views,
        pictures,
        torch.tensor(table),
        torch.tensor(kind),
        tuple(texts),
        torch.tensor(xy),
        torch.tensor(points),
        torch.tensor(blocks),
    )


def table_prompts(
    pixels: Float[Tensor, "b 3 h w"],
    texts: Sequence[str],
    *,
    number: dict[str, int] | None = None,
    text_first: bool = False,
) -> PromptBatch:
    """What the view's ``batch`` makes of pictures of the model's own size, without its detour over files of pictures.

    Args:
        pixels: from -1 to 1, as the processor normalises them.
        texts: one for every picture.
        number: the vocabulary; that of the instructions, unless given.
        text_first: the words before the picture, for models whose prompts are no prefix.
    """
    number = numbers() if number is None else number
    picture = [number["<image>"]] * TOKENS
    rows = []
    for text in texts:
        words = [number["<bos>"], *(number.get(word, number["<unk>"]) for word in text.split())]
        rows.append([*words, *picture] if text_first else [*picture, *words])
    longest = max(map(len, rows))
    ids = torch.tensor([[number["<pad>"]] * (longest - len(row)) + row for row in rows])  # on the left, as there
    inputs = {
        "input_ids": ids,
        "attention_mask": (ids != number["<pad>"]).long(),
        "token_type_ids": torch.zeros_like(ids),
        "pixel_values": pixels,
    }
    cells = SIDE // PATCH
    frame = Frame.resize((SIDE, SIDE), (SIDE, SIDE)).to_grid(stride=PATCH)
    grid = TokenGrid(frame, torch.arange(TOKENS).view(cells, cells))
    place = (ids == number["<image>"]).nonzero()[:, 1].view(len(rows), TOKENS)
    return PromptBatch(inputs, tuple(texts), place, torch.full((len(rows),), longest - 1), (grid,))


def as_pixels(pictures: UInt8[np.ndarray, "b h w 3"]) -> Float[Tensor, "b 3 h w"]:
    """Pictures as the processor normalises them."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
