"""Numbers for words, in the shape and between the marks of CLIP's tokenizer; its vocabulary is not on this machine."""

from __future__ import annotations

import torch

START, END = 49406, 49407


def tokenize(texts: str | list[str], context_length: int = 77, truncate: bool = False) -> torch.Tensor:
    """(n, context_length) int32: START, the bytes of a text in small letters, END, and noughts.

    Args:
        texts: one or more.
        context_length: numbers to a text.
        truncate: cut what is longer; False: refuse it.

    Raises:
        RuntimeError: a text is longer.
    """
    texts = [texts] if isinstance(texts, str) else texts
    rows = torch.zeros(len(texts), context_length, dtype=torch.int32)
    for row, text in zip(rows, texts, strict=True):
        numbers = [START, *text.lower().encode(), END]
        if len(numbers) > context_length and not truncate:
            raise RuntimeError(f"Input {text} is too long for context length {context_length}")
        numbers = [*numbers[: context_length - 1], numbers[-1]] if len(numbers) > context_length else numbers
        row[: len(numbers)] = torch.tensor(numbers)
    return rows
