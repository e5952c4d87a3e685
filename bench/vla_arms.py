"""The arms of bench/vla.py: models that differ in one thing each, and how one of them is trained and judged."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.kept import Spent, identity
from isotherm.atomic import atomic_write
from isotherm.data.tabletop import COLOURS, KINDS
from isotherm.data.tabletop.table import HELD_OUT, VALIDATION
from isotherm.grounding.model import GroundingModel
from isotherm.heads import ConvexUpsample, Head
from isotherm.models.transformers.vlm.view import TransformersVlm
from isotherm.train.loop import LoopConfig, Part, run_loop
from isotherm.train.run_folder import RunFolder
from isotherm.vlm.batch import PromptBatch
from isotherm.zoo.tiny_grounding.network import (
    HEAD_OPTIONS,
    PATCH,
    SIDE,
    TEXT,
    TOKENS,
    VISION,
    WIDTH,
    numbers,
    random_tiny_grounding_vlm,
    stir,
    tiny_grounding_processor,
    tiny_grounding_tokenizer,
)
from isotherm.zoo.tiny_grounding.tables import TableInstructions, as_pixels, draw_tables, table_prompts
from isotherm.zoo.tiny_grounding.training import (
    TableTask,
    TinyGroundingTraining,
    errors_px,
    jittered,
    predict_tables,
    shares,
)

WORK = Path(__file__).parent / ".work" / "vla"
VALIDATED, JUDGED = VALIDATION[:200], HELD_OUT[:150]
CONFIG = TinyGroundingTraining(steps=800, tables=1500, views=("top",), keep_every=100, opening=0)
QUESTION_STEPS = 3000
"""Of the other questions, of whose pictures each gives one word to learn from instead of a place."""
PROBES = ("pick the red block", "put it left of the blue one")
COUNTS = ("3", "4", "5")
FURTHER = ("how", "many", "is", "there", "a", "what", "yes", "no", *COUNTS)
"""Words of the other questions."""
ASKED = ("how many", "is there", "what is beside")
WAY = 1
"""Of training and judging; another number where code changes the numbers and no setting below does, so that nothing from
before is used again."""
BORDER = 8
"""Cells from the edge within which a place counts as near the border: those of the outermost tokens."""


@dataclass(frozen=True)
class Arm:
    """What differs from the main arm."""

    language: Literal["prefix", "causal"] = "prefix"
    conditioning: Literal["as_is", "text_first", "text_query"] = "as_is"
    head: Literal["convex", "bilinear", "coordinates"] = "convex"
    padding: Literal["renorm", "zeros"] = "renorm"
    frozen: bool = False


ARMS = {
    "bidirectional prefix, convex head": Arm(),
    "causal, text first": Arm("causal", "text_first"),
    "causal, picture first": Arm("causal", "as_is"),
    "causal, picture first, text query": Arm("causal", "text_query"),
    "bilinear upsampling": Arm(head="bilinear"),
    "zeros beyond the border": Arm(padding="zeros"),
    "coordinates from the last token": Arm(head="coordinates"),
    "taught other questions, then frozen": Arm(frozen=True),
}


class BilinearHead(Head):
    """The coarse map of a convex head, upsampled by interpolation."""

    def __init__(self) -> None:
        super().__init__()
        convex = ConvexUpsample(WIDTH, 1, **HEAD_OPTIONS)
        self.ratio, self.reduce, self.net_out = PATCH, convex.reduce, convex.net_out

    def forward(self, features: Tensor) -> Tensor:
        return F.interpolate(self.net_out(self.reduce(features)), scale_factor=self.ratio, mode="bilinear")


class Coordinates(nn.Module):
    """The state of the last token, through two layers, to a place as shares of the picture."""

    text_first = False

    def __init__(self, view: Any) -> None:
        super().__init__()
        self.view, self.vlm = view, view.model
        self.head = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 2 * WIDTH), nn.ReLU(), nn.Linear(2 * WIDTH, 2))

    def forward(self, batch: PromptBatch) -> Tensor:
        places: Tensor = self.head(batch.at_last(self.view.states(batch)))
        return places + 0.5


class CoordinateTask(TableTask):
    """L1 distance of places."""

    def judged(self, maps: Tensor, xy: Tensor) -> Part:
        return Part((maps - xy / SIDE).abs().sum(1).mean(), None)


def causal_view(seed: int) -> TransformersVlm:
    """LLaVA's architecture with the same towers, under a causal mask."""
    import transformers as hf

    number = numbers()
    config = hf.LlavaConfig(
        text_config={**TEXT, "vocab_size": len(number)},
        vision_config=dict(VISION),
        image_token_index=number["<image>"],
        vision_feature_select_strategy="full",
        vision_feature_layer=-1,
        image_seq_length=TOKENS,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = hf.LlavaForConditionalGeneration(config)
        stir(model)
    processor = hf.LlavaProcessor(
        image_processor=tiny_grounding_processor().image_processor,
        tokenizer=tiny_grounding_tokenizer(),
        patch_size=PATCH,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=0,
    )
    return TransformersVlm(model.eval(), processor, name="causal twin of tiny-grounding")


def prefix_view(seed: int, further: tuple[str, ...] = ()) -> TransformersVlm:
    """The language model of tiny-grounding, with random weights."""
    return TransformersVlm(
        random_tiny_grounding_vlm(seed, further), tiny_grounding_processor(further), name="tiny-grounding"
    )


def make_model(arm: Arm, seed: int, view: TransformersVlm) -> nn.Module:
    """The model of an arm around a language model."""
    import warnings

    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is blind is what one arm shows; the figure is in the results
        torch.manual_seed(seed + 1)
        if arm.head == "coordinates":
            return Coordinates(view)
        head: Head = (
            BilinearHead() if arm.head == "bilinear" else ConvexUpsample(WIDTH, 1, **HEAD_OPTIONS, padding=arm.padding)
        )
        return GroundingModel(view, head, conditioning=arm.conditioning, frozen=arm.frozen, probes=PROBES)


def tables(name: str, seeds: range, views: tuple[str, ...]) -> TableInstructions:
    """Tables from the file that an earlier run left."""
    decided = {"seeds": [seeds.start, seeds.stop, seeds.step], "views": views, "drawn": drawn(views)}
    fpath = WORK / f"tables-{name}-{len(seeds)}-{identity(decided)}.pt"
    if not fpath.exists():
        WORK.mkdir(parents=True, exist_ok=True)
        made = draw_tables(seeds, views)
        with atomic_write(fpath) as file:  # arms that begin at once, or a kill, must not leave half of it
            torch.save(vars(made) | {"pictures": torch.from_numpy(made.pictures)}, file)
    kept = torch.load(fpath)
    return TableInstructions(**kept | {"pictures": kept["pictures"].numpy()})


@lru_cache
def drawn(views: tuple[str, ...]) -> str:
    """What a table looks like and which instructions it has, as digits: others where the drawing changes."""
    one = draw_tables(range(1), views)
    parts = one.pictures.tobytes(), repr((one.texts, one.xy.round(decimals=2).tolist())).encode()
    return hashlib.sha256(b"".join(parts)).hexdigest()[:10]


class QuestionTask(TableTask):
    """Cross-entropy of one word that answers another question about the same pictures."""

    def __init__(self, config: LoopConfig, model: nn.Module, data: TableInstructions) -> None:
        super().__init__(config, model, data, number=numbers(FURTHER))
        self.asked = questions(data)

    def part(self, forward: nn.Module, index: Tensor, epoch: Tensor, *, done: float, device: torch.device) -> Part:
        generator = torch.Generator().manual_seed((self.config.seed << 24) + (1 << 51) + int(epoch[0]))
        which = [
            self.asked[k][int(c * len(self.asked[k]))]
            for k, c in zip(
                torch.randint(len(ASKED), (len(index),), generator=generator).tolist(),
                torch.rand(len(index), generator=generator),
                strict=True,
            )
        ]
        pixels = jittered(as_pixels(self.data.pictures[[q[0] for q in which], 0]), index, epoch, self.config)
        answers = torch.tensor([self.number[q[2]] for q in which])
        return Part(F.cross_entropy(self.answer(forward, pixels, [q[1] for q in which]), answers), None)

    def answer(self, model: nn.Module, pixels: Tensor, texts: list[str]) -> Tensor:
        prompts = table_prompts(pixels, texts, number=self.number)
        return model(**prompts.inputs, use_cache=False, logits_to_keep=1).logits[:, -1]


def questions(data: TableInstructions) -> list[list[tuple[int, str, str]]]:
    """Of every kind of other question (table, question, answer): how many blocks, whether there is one of a colour, and
    the colour of the one on a side of another."""
    colour_at: dict[tuple[Any, ...], str] = {}
    for i, text in enumerate(data.texts):
        if KINDS[data.kind[i]] == "pick":
            colour_at[(int(data.table[i]), *data.point[i].tolist())] = text.split()[2]
    there: dict[int, list[str]] = {}
    for (table, *_), colour in colour_at.items():
        there.setdefault(table, []).append(colour)
    counted = [(t, "how many block", str(len(colours))) for t, colours in there.items()]
    exists = [
        (t, f"is there a {c} block", "yes" if c in colours else "no") for t, colours in there.items() for c in COLOURS
    ]
    beside = [
        (
            int(data.table[i]),
            text.replace("pick the one", "what is"),
            colour_at[(int(data.table[i]), *data.point[i].tolist())],
        )
        for i, text in enumerate(data.texts)
        if KINDS[data.kind[i]] == "relation"
    ]
    return [counted, exists, beside]


@torch.no_grad()
def answered(task: QuestionTask, model: nn.Module, data: TableInstructions) -> dict[str, float]:
    """The share of right answers of each kind of other question."""
    found = {}
    for name, asked in zip(ASKED, questions(data), strict=True):
        right = 0
        for i in range(0, len(asked), 250):
            part = asked[i : i + 250]
            logits = task.answer(model, as_pixels(data.pictures[[q[0] for q in part], 0]), [q[1] for q in part])
            right += int((logits.argmax(-1) == torch.tensor([task.number[q[2]] for q in part])).sum())
        found[name] = right / len(asked)
    return found


def settings_of(name: str, seed: int, config: TinyGroundingTraining, judged: range) -> dict[str, Any]:
    """All that decides the figures of an arm and a seed."""
    arm = ARMS[name]
    return {
        "way": WAY,
        "arm": asdict(arm),
        "training": asdict(replace(config, seed=seed)),
        "other questions": QUESTION_STEPS * config.steps // CONFIG.steps if arm.frozen else 0,
        "language": {"text": TEXT, "vision": VISION, "tokens": TOKENS, "words": sorted(numbers(words_of(arm)))},
        "head": {"options": HEAD_OPTIONS, "width": WIDTH, "patch": PATCH, "side": SIDE},
        "judged": [judged.start, judged.stop, judged.step],
        "border": BORDER,
        "drawn": drawn(config.views),
    }


def words_of(arm: Arm) -> tuple[str, ...]:
    """Words beside those of the instructions."""
    return FURTHER if arm.frozen else ()


def folder_of(name: str, seed: int, config: TinyGroundingTraining = CONFIG, judged: range = JUDGED) -> Path:
    """Where an arm and a seed are kept: by all that decides the figures, so that nothing of other settings is used."""
    return WORK / f"{name}, seed {seed}, {identity(settings_of(name, seed, config, judged))}"


def run_arm(name: str, seed: int, *, config: TinyGroundingTraining = CONFIG, judged: range = JUDGED) -> dict[str, Any]:
    """Figures of an arm and a seed; what an earlier run finished is read, and what it began is gone on with."""
    arm, dpath = ARMS[name], folder_of(name, seed, config, judged)
    settings, config = settings_of(name, seed, config, judged), replace(config, seed=seed)
    fpath = dpath / "figures.json"
    if fpath.exists():
        return json.loads(fpath.read_text())
    data = tables("top", replace(config, seed=0).seeds, config.views)
    spent, further = Spent(dpath / "seconds.json"), words_of(arm)
    view = causal_view(seed) if arm.language == "causal" else prefix_view(seed, further)
    facts: dict[str, Any] = {}
    if arm.frozen:
        longer = replace(config, steps=settings["other questions"])
        asking = QuestionTask(longer, view.model, data)
        run_loop(longer, asking, RunFolder(dpath / "questions", settings), validate=spent.at_checkpoint)
        facts["answers"] = answered(asking, view.model, tables("judged", judged, config.views))
    model = make_model(arm, seed, view)
    task = (CoordinateTask if arm.head == "coordinates" else TableTask)(config, model, data, number=numbers(further))
    run_loop(config, task, RunFolder(dpath / "run", settings), validate=spent.at_checkpoint)
    facts |= judge(arm, model, tables("judged", judged, config.views), numbers(further))
    facts["instruction_change"] = getattr(model, "instruction_change", None)
    facts["processor_seconds"] = spent.read()
    with atomic_write(fpath) as file:
        file.write(json.dumps(facts).encode())
    return facts


@torch.no_grad()
def judge(arm: Arm, model: nn.Module, data: TableInstructions, number: dict[str, int]) -> dict[str, float]:
    """Hits and errors of every kind, and of the places near the border."""
    every = torch.arange(len(data))
    xy = data.xy[:, 0]
    if arm.head == "coordinates":
        errors = (SIDE * predict_tables(model.eval(), data, every, number=number, outputs=lambda o: o) - xy).norm(dim=1)
    else:
        maps = predict_tables(model.eval(), data, every, number=number)
        errors = errors_px(maps, xy)
    near = torch.minimum(xy, SIDE - xy).amin(1) < BORDER
    found = shares(errors, data.kind) | {
        "all_px": float(errors.mean()),
        "border": float((errors[near] <= 2).float().mean()),
        "border_px": float(errors[near].mean()),
        "inside_px": float(errors[~near].mean()),
    }
    if arm.head != "coordinates":
        p = maps.flatten(1).softmax(1).view_as(maps)
        inner = p[:, BORDER:-BORDER, BORDER:-BORDER].sum((1, 2))
        found["border_mass"] = float((1 - inner)[~near].mean())
    return found


def chance(data: TableInstructions) -> dict[str, float]:
    """Hits of an answer that knows the picture and not the words: a block at random, for places any place that some
    instruction means."""
    found = {}
    for k, name in enumerate(KINDS):
        rows = (data.kind == k).nonzero()[:, 0]
        if name == "place":
            same = [((data.table == data.table[i]) & (data.kind == k)).nonzero()[:, 0] for i in rows]
            hits = [
                float(((data.xy[s, 0] - data.xy[i, 0]).norm(dim=1) <= 2).float().mean())
                for s, i in zip(same, rows, strict=True)
            ]
        else:
            hits = [1 / int(data.blocks[data.table[i]]) for i in rows]
        found[name] = float(np.mean(hits))
    return found
