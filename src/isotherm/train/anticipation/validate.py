"""How well an anticipation model does: accuracies and recalls, in every part of a set, under any condition of gaze."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from isotherm.gaze.model import AnticipationModel
from isotherm.metrics.recall import hits_at, mean_class_recall
from isotherm.train.anticipation.build import encoder_input
from isotherm.train.anticipation.clip_data import HEADS, ClipData
from isotherm.train.anticipation.gaze_use import GazeUse


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model says of all clips of a set.

    Args:
        logits: (p, n, k) by head, of every probe.
        labels: (n, 3).
        parts: (n) numbers of parts.
        part_names: of them.
    """

    logits: dict[str, Float[Tensor, "p n k"]]
    labels: Int[Tensor, "n 3"]
    parts: Int[Tensor, " n"]
    part_names: Sequence[str]

    def figures(self, probe: int = 0, *, k: int = 5, valid: bool = True) -> dict[str, float]:
        """Of every head the recall at k (mean over classes), its accuracy, and at k; and the action's accuracy by part.

        Args:
            probe: which.
            k: of the recall.
            valid: only classes that the set has may be answered, as the published evaluation has it.
        """
        figures = {}
        for i, head in enumerate(HEADS):
            labels = self.labels[:, i]
            known = labels >= 0
            if not bool(known.any()):
                continue
            logits, of = self.logits[head][probe][known], labels[known]
            classes = of.unique().tolist() if valid else None
            lost = float(known.double().mean())  # what the model has no class for is wrong
            figures[f"{head}_recall_{k}"] = mean_class_recall(logits, of, k=k, valid_classes=classes)
            figures[f"{head}_accuracy"] = lost * float(hits_at(logits, of, k=1).double().mean())
            figures[f"{head}_accuracy_{k}"] = lost * float(hits_at(logits, of, k=k).double().mean())
        return figures | self.of_parts(probe)

    def of_parts(self, probe: int = 0) -> dict[str, float]:
        """The action's accuracy in every part of the set; nothing where it has a single one.

        Args:
            probe: which.
        """
        right = self.right(probe).double()
        rows = {name: self.parts == number for number, name in enumerate(self.part_names)}
        return {
            f"{name}_part": float(right[row].mean()) for name, row in rows.items() if len(rows) > 1 and bool(row.any())
        }

    def right(self, probe: int = 0) -> Tensor:
        """(n) whether the first answer is the action.

        Args:
            probe: which.
        """
        return self.logits["action"][probe].argmax(1) == self.labels[:, HEADS.index("action")]


@torch.no_grad()
def answers_of(
    model: AnticipationModel, data: ClipData, gaze: GazeUse, *, batch: int = 64, device: torch.device | None = None
) -> Answers:
    """What a model says of every clip.

    Args:
        model: in evaluation mode.
        data: the set.
        gaze: what it is told; shuffled gaze is that of another clip of the same batch.
        batch: clips at once; one more where a single one would be left, which has no other's gaze.
        device: where the model is; None: the CPU.
    """
    device = torch.device("cpu") if device is None else device
    collected: dict[str, list[Tensor]] = {name: [] for name in HEADS}
    parts = list(torch.arange(len(data)).split(batch))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    for index in parts:
        clips = data.batch(index)
        shown = None
        if model.fusion is not None:
            shown = gaze.of(clips.gaze, seed=int(index[0])).to(device)
        logits = model(encoder_input(clips, device, blind=gaze.blind), shown, ahead_s=clips.ahead_s.to(device))
        for name, values in logits.items():
            collected[name].append(values.float().cpu().reshape(len(model.probes), len(index), -1))
    logits = {name: torch.cat(values, dim=1) for name, values in collected.items()}
    return Answers(logits, data.labels, data.parts, data.part_names)
