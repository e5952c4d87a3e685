"""A language view whose every number can be computed by hand: logits are a given function of the vision tokens and of what was said."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from isotherm.frame import Frame
from isotherm.vlm.tokens import PictureTokens, TokenGrid
from isotherm.vlm.view import PromptInputs, Reading

Rule = Callable[[Tensor, list[int]], Tensor]
"""(n, d) vision tokens and the tokens said so far -> (v) logits of the next one."""


class Letters:
    """A vocabulary whose texts are put behind each other without spaces, as byte-pair encodings do."""

    def __init__(self, texts: list[str], ends: frozenset[int] = frozenset()) -> None:
        self._texts, self._ends = texts, ends

    def encode(self, text: str) -> list[int]:
        found = []
        while text:
            token = max((t for t in self._texts if t and text.startswith(t)), key=len, default=None)
            if token is None:
                return []
            found.append(self._texts.index(token))
            text = text[len(token) :]
        return found

    def decode(self, ids) -> str:
        return "".join(self._texts[i] for i in ids if i not in self._ends)

    def texts(self) -> list[str]:
        return self._texts

    @property
    def ends(self) -> frozenset[int]:
        return self._ends

    def __len__(self) -> int:
        return len(self._texts)


class Toy:
    """Fulfils LanguageView: pictures of 8-pixel cells, a stream of vision tokens that are given, the prompt ``<picture> ?``."""

    layers, causal, shares, hides, name, count_prompt = 1, True, False, True, "toy", None

    def __init__(
        self,
        rule: Rule,
        texts: list[str],
        streams: tuple[Tensor, ...],
        grid: tuple[int, int],
        *,
        ends: frozenset[int] = frozenset(),
    ) -> None:
        self.model = nn.Linear(1, 1)
        self.rule, self.vocabulary, self.streams, self.grid = rule, Letters(texts, ends), streams, grid

    def picture(self) -> np.ndarray:
        return np.full((8 * self.grid[0], 8 * self.grid[1], 3), 128, np.uint8)

    def ask(self, pictures, prompt: str) -> PromptInputs:
        known = []
        for source in pictures:
            h, w = source.shape[0] // 8, source.shape[1] // 8
            known.append(
                PictureTokens(
                    (source.shape[0], source.shape[1]),
                    (TokenGrid(Frame.identity(source.shape[:2]).to_grid(stride=8), torch.arange(h * w).view(h, w)),),
                    h * w,
                )
            )
        n = sum(p.count for p in known)
        return PromptInputs(
            {},
            torch.tensor([0] * n + [len(self.vocabulary) - 1]),
            prompt,
            tuple(pictures),
            tuple(known),
            torch.arange(n),
        )

    def ask_video(self, frames, prompt: str, *, fps: float) -> PromptInputs:
        raise NotImplementedError

    def embed(self, prompt: PromptInputs):
        return tuple(s[None].clone() for s in self.streams)

    def answer(self, prompt: PromptInputs, *, most: int) -> list[int]:
        said: list[int] = []
        while len(said) < most:
            token = int(self.rule(torch.stack(self.streams).sum(0), said).argmax())
            if token in self.vocabulary.ends:
                break
            said.append(token)
        return said

    def read(self, prompt: PromptInputs, streams, continuation, *, hidden=None, shared=0) -> Reading:
        b, k = continuation.shape
        seen = torch.stack([s.expand(b, -1, -1) for s in streams]).sum(0)
        if hidden is not None:
            seen = seen * ~hidden[..., None]
        rows = [torch.stack([self.rule(seen[i], continuation[i, :j].tolist()) for j in range(k + 1)]) for i in range(b)]
        states = torch.cat([seen, torch.zeros(b, 1 + k, seen.shape[-1])], 1)
        return Reading(torch.stack(rows), states)

    def pixels(self, prompt: PromptInputs):
        raise NotImplementedError

    def embed_pixels(self, prompt: PromptInputs, pixels):
        raise NotImplementedError

    def positive_per_cell(self, prompt: PromptInputs, pixels, gradient, places):
        raise NotImplementedError

    def column(self, token: int) -> Tensor:
        return torch.nn.functional.one_hot(
            torch.tensor(token % self.streams[0].shape[-1]), self.streams[0].shape[-1]
        ).float()
