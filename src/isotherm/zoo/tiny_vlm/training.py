"""Training of the small vision-language model that ships: every question is new, and every step follows from the
seed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from isotherm.data.shape_questions import KINDS, SIDE, TRAINING, ShapeQuestion, further_questions, make_question
from isotherm.errors import OptionError
from isotherm.train.loop import LoopConfig, Part, Task
from isotherm.train.parameters import ParameterGroup, parameter_groups
from isotherm.train.schedule import Schedule
from isotherm.zoo.tiny_vlm.network import MERGE, PATCH, SPECIAL, WORDS

NUMBER = {word: i for i, word in enumerate((*SPECIAL, *WORDS))}
TOKENS = (SIDE // (PATCH * MERGE)) ** 2
PROMPT = (NUMBER["<|vision_start|>"], *[NUMBER["<|image_pad|>"]] * TOKENS, NUMBER["<|vision_end|>"])


@dataclass(frozen=True, kw_only=True)
class TinyVlmTraining(LoopConfig):
    """The recipe; what is not here is in :class:`isotherm.train.loop.LoopConfig`."""

    steps: int = 3600
    batch: int = 48
    rate: float = 2e-3
    decay: float = 0.05
    average: float | None = 0.998
    log_every: int = 100
    keep_every: int = 600
    schedule: Schedule = field(default_factory=lambda: Schedule(warm_up=200))

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.seed < 1 << 12 or self.steps * self.batch > 1 << 24:
            raise OptionError(
                f"seed is {self.seed} and there are {self.steps * self.batch} questions; expected a seed below 4096 and at most 2**24 questions"
            )


def as_patches(pictures: UInt8[np.ndarray, "b h w 3"]) -> Float[Tensor, "p c"]:
    """What the image processor makes of pictures whose sides are multiples of a token's: blocks of patches, each frame
    twice.
    """
    x = torch.from_numpy(pictures).float().permute(0, 3, 1, 2) / 127.5 - 1
    b, c, h, w = x.shape
    rows, columns = h // (PATCH * MERGE), w // (PATCH * MERGE)
    x = x.view(b, c, rows, MERGE, PATCH, columns, MERGE, PATCH).permute(
        0, 2, 5, 3, 6, 1, 4, 7
    )  # b, row, column, in-block, c, in-patch
    return x[..., None, :, :].expand(*x.shape[:6], 2, PATCH, PATCH).reshape(b * h * w // PATCH**2, c * 2 * PATCH**2)


def as_inputs(questions: list[ShapeQuestion]) -> dict[str, Tensor]:
    """The inputs of the model for questions of equally many words, as the processor makes them."""
    return _with_pictures(
        torch.tensor([[*PROMPT, *(NUMBER[word] for word in q.question.split())] for q in questions]), questions
    )


def as_dialogues(questions: list[ShapeQuestion], seeds: list[int]) -> tuple[dict[str, Tensor], Int[Tensor, "b l"]]:
    """Each question with its answer and further ones behind it, and what comes next where an answer or its end is due;
    -100 elsewhere.
    """
    rows, wanted = [], []
    for first, seed in zip(questions, seeds, strict=True):
        row, want = list(PROMPT), [-100] * len(PROMPT)
        for question, answer in [(first.question, first.answer), *further_questions(first, seed)]:
            numbers = [NUMBER[word] for word in question.split()]
            row += [*numbers, NUMBER[answer], NUMBER["<eos>"]]
            want += [-100] * (len(numbers) - 1) + [NUMBER[answer], NUMBER["<eos>"], -100]
        rows.append(row)
        wanted.append(want)
    longest = max(map(len, rows))
    ids = torch.tensor([row + [NUMBER["<pad>"]] * (longest - len(row)) for row in rows])
    return _with_pictures(ids, questions), torch.tensor([want + [-100] * (longest - len(want)) for want in wanted])


def _with_pictures(ids: Int[Tensor, "b l"], questions: list[ShapeQuestion]) -> dict[str, Tensor]:
    side = SIDE // PATCH
    return {
        # what is padded stands behind everything that is read, so no mask is needed
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "mm_token_type_ids": (ids == NUMBER["<|image_pad|>"]).long(),
        "pixel_values": as_patches(np.stack([q.picture for q in questions])),
        "image_grid_thw": torch.tensor([[1, side, side]] * len(questions)),
    }


class QuestionTask(Task):
    """Cross-entropy of the answers' words."""

    def __init__(self, config: TinyVlmTraining, model: nn.Module) -> None:
        self.config, self.model, self.count = config, model, config.steps * config.batch

    def groups(self) -> list[ParameterGroup]:
        config = self.config
        return parameter_groups(
            None, self.model, rate=config.rate, decay=config.decay, backbone_rate=0.0, layer_decay=1.0
        )

    def labelled(self, index: Int[Tensor, " b"]) -> tuple[int, int]:
        return len(index), len(index)

    def part(
        self,
        forward: nn.Module,
        index: Int[Tensor, " b"],
        epoch: Int[Tensor, " b"],
        *,
        done: float,
        device: torch.device,
    ) -> Part:
        seeds = [TRAINING[(self.config.seed << 24) + i] for i in index.tolist()]
        inputs, answers = as_dialogues([make_question(s) for s in seeds], seeds)
        logits = forward(**{name: value.to(device) for name, value in inputs.items()}).logits
        return Part(F.cross_entropy(logits.flatten(0, 1).float(), answers.flatten().to(device)), None)


@torch.no_grad()
def accuracy(model: Any, seeds: range, *, batch: int = 64) -> dict[str, float]:
    """The share of right answers of each kind of question, to the questions of some seeds."""
    shares: dict[str, float] = {}
    for kind in KINDS:
        right = 0
        for i in range(0, len(seeds), batch):
            questions = [make_question(s, kind) for s in seeds[i : i + batch]]
            inputs = {name: value.to(model.device) for name, value in as_inputs(questions).items()}
            answers = model(**inputs, logits_to_keep=1).logits[:, -1].argmax(-1).cpu()
            right += int((answers == torch.tensor([NUMBER[q.answer] for q in questions])).sum())
        shares[kind] = right / len(seeds)
    return shares
