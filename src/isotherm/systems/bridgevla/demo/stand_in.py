"""A stand-in for a language model that has seen picture and instruction, and a converter trained on its states.

Each image token knows the mean colour of its patch and the colour that the instruction asks for, mixed by random
weights. To find the block is the converter's work, and that of some seconds of training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from isotherm.data.tabletop import COLOURS, ORTHOGRAPHIC, Instruction, Tabletop, make_tabletop
from isotherm.losses import gaussian_cross_entropy
from isotherm.systems.bridgevla.converter import LLMToHeatmapConverter

GRID, SIDE, WIDTH = 16, 112, 32
SIGMA = 2.0
VIEWS = tuple(ORTHOGRAPHIC)
TEXT, PADDING = 8, 5
"""Tokens of the instruction behind the pictures, and of padding before them."""


@dataclass(frozen=True, eq=False)
class Prompt:
    """An instruction about a table, as a language model's states.

    Args:
        table: and its views.
        instruction: to pick a block.
        states: (t, c) of all tokens.
        image: (t), true at image tokens.
        places: (v, 2) where the block is in each view, in cells.
    """

    table: Tabletop
    instruction: Instruction
    states: Float[Tensor, "t c"]
    image: Bool[Tensor, " t"]
    places: Float[Tensor, "v 2"]


def make_prompt(table: Tabletop, instruction: Instruction) -> Prompt:
    """The states of the stand-in for an instruction about a table."""
    wanted = next(word for word in instruction.text.split() if word in COLOURS)
    patch = SIDE // GRID
    pictures = np.stack([table.views[name].picture for name in VIEWS]).astype(np.float32) / 255
    means = pictures.reshape(len(VIEWS), GRID, patch, GRID, patch, 3).mean((2, 4)).reshape(-1, 3)
    seen = torch.cat([torch.from_numpy(means), torch.tensor([COLOURS[wanted]]).expand(len(means), 3)], 1)
    states = torch.cat([torch.zeros(PADDING, WIDTH), _mixed(seen), torch.randn(TEXT, WIDTH)])
    image = torch.zeros(len(states), dtype=torch.bool)
    image[PADDING : PADDING + len(means)] = True
    at = table.points(instruction)
    return Prompt(table, instruction, states, image, torch.tensor([at[name] for name in VIEWS]))


def _mixed(seen: Float[Tensor, "n 6"]) -> Float[Tensor, "n c"]:
    """Random features of both colours, always the same ones."""
    generator = torch.Generator().manual_seed(0)
    weights, phases = 3 * torch.randn(6, WIDTH, generator=generator), 6.3 * torch.rand(WIDTH, generator=generator)
    return (2 * (seen - 0.5) @ weights + phases).sin()


@dataclass(frozen=True, eq=False)
class Trained:
    """A converter on its way.

    Args:
        converter: at the end.
        losses: of every step, in nats.
        prompt: held out.
        looks: by step, the logits (v, h, w) of that prompt.
    """

    converter: LLMToHeatmapConverter
    losses: tuple[float, ...]
    prompt: Prompt
    looks: dict[int, Float[Tensor, "v h w"]]


def train(steps: int = 120, *, tables: int = 20, keep: Sequence[int] = (0, 20, 120), batch: int = 6) -> Trained:
    """A converter that learns to find the block of the colour that is asked for.

    Args:
        steps: of training.
        tables: that it sees.
        keep: steps behind which it is asked about a table that it never sees.
        batch: prompts per step.
    """
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        scenes = [make_tabletop(seed, size=SIDE, samples=1, views=VIEWS) for seed in range(tables)]
        prompts = [make_prompt(t, i) for t in scenes for i in t.instructions if i.kind == "pick"]
        held_out = make_tabletop(HELD_OUT_SEED, size=SIDE, samples=2)
        prompt = make_prompt(held_out, held_out.instructions[1])
        converter = LLMToHeatmapConverter(WIDTH, patch_size=GRID, target_size=SIDE)
        optimiser = torch.optim.AdamW(converter.parameters(), lr=2e-3)
        losses, looks = [], {}
        for step in range(steps + 1):
            if step in keep:
                looks[step] = look(converter, prompt)
            if step == steps:
                break
            chosen = [prompts[i] for i in torch.randint(len(prompts), (batch,), generator=generator).tolist()]
            logits = converter(
                torch.stack([p.states for p in chosen]),
                num_views=len(VIEWS),
                image_token_mask=torch.stack([p.image for p in chosen]),
            )
            loss = gaussian_cross_entropy(logits, torch.stack([p.places for p in chosen]), sigma_cells=SIGMA)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
    return Trained(converter, tuple(losses), prompt, looks)


HELD_OUT_SEED = (1 << 41) + 4


@torch.no_grad()
def look(converter: LLMToHeatmapConverter, prompt: Prompt) -> Float[Tensor, "v h w"]:
    """The logits of every view for one prompt."""
    return converter(prompt.states[None], num_views=len(VIEWS), image_token_mask=prompt.image[None])[0]
