"""The words of a tokenizer of transformers, and their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class TokenizerVocabulary:
    """Fulfils :class:`isotherm.vlm.view.Vocabulary` by a tokenizer of transformers."""

    def __init__(self, tokenizer: Any, ends: Sequence[int], size: int) -> None:
        self.tokenizer, self._ends, self._size = tokenizer, frozenset(ends), size
        self._texts: list[str] | None = None

    def encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    def texts(self) -> Sequence[str]:
        if self._texts is None:
            self._texts = self.tokenizer.batch_decode([[i] for i in range(self._size)], skip_special_tokens=True)
        return self._texts

    @property
    def ends(self) -> frozenset[int]:
        return self._ends

    def __len__(self) -> int:
        return self._size
