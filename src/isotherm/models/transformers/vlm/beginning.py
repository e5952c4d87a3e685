"""What generation begins with: a prompt's tokens, as some models change them before they answer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Beginning:
    """What stands in front of an answer, of the tokens of a prompt.

    Args:
        front: tokens that come first, such as the one that a decoder starts with.
        skip: tokens of the prompt that are left out at its start.
        cut: tokens of the prompt that are left out at its end, as BLIP leaves out the one that ends a sentence.
        forced: tokens that come last: generation puts them in front of every answer.
    """

    front: Int[Tensor, "1 f"]
    skip: int
    cut: int
    forced: Int[Tensor, "1 g"]

    @classmethod
    def of(cls, written: Int[Tensor, "1 n"], begun: Int[Tensor, "1 l"], forced: Int[Tensor, "1 g"]) -> Beginning:
        """The beginning with the least in front, and then with the least left out at the start.

        Args:
            written: the tokens of a prompt.
            begun: those that generation began with.
            forced: those that it went on with, whatever the prompt is.

        Example:
            >>> one = Beginning.of(torch.tensor([[7, 5, 6, 8]]), torch.tensor([[2, 5, 6]]), torch.tensor([[3]]))
            >>> one.front.tolist(), one.skip, one.cut
            ([[2]], 1, 1)
            >>> one(torch.tensor([[7, 4, 8]])).tolist()
            [[2, 4, 3]]
        """
        n, length = written.shape[1], begun.shape[1]
        front, skip = next(
            (front, skip)
            for front in range(length + 1)
            for skip in range(n - length + front + 1)
            if torch.equal(begun[:, front:], written[:, skip : skip + length - front])
        )
        return cls(begun[:, :front], skip, n - skip - length + front, forced)

    def __call__(self, written: Int[Tensor, "1 n"]) -> Int[Tensor, "1 l"]:
        """What stands in front of the answer to another prompt."""
        return torch.cat([self.front, self._kept(written), self.forced], 1)

    def per_token(self, value: Tensor) -> Tensor:
        """A value per token of a prompt, (b, n, ...), as one per token of what generation begins with.

        Tokens in front have that of the prompt's first, and those that are forced that of its last.

        Example:
            >>> none = torch.zeros(1, 0, dtype=torch.long)
            >>> Beginning(torch.tensor([[2]]), 1, 1, none).per_token(torch.tensor([[1, 0, 0, 1]])).tolist()
            [[1, 0, 0]]
        """
        kept = self._kept(value)
        front, last = value[:, :1], kept[:, -1:]
        return torch.cat([front] * self.front.shape[1] + [kept] + [last] * self.forced.shape[1], 1)

    def _kept(self, value: Tensor) -> Tensor:
        return value[:, self.skip : value.shape[1] - self.cut]
