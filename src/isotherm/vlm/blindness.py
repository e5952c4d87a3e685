"""Whether a language model's states at a picture's tokens know what is asked.

In a causal model with the picture before the text they cannot: whatever reads a place from them answers every
instruction alike. A head on such states needs the text first, a model whose prompts see themselves both ways, or to be
told the instruction by another way.
"""

from __future__ import annotations

import warnings

import torch
from jaxtyping import Float
from torch import Tensor

from isotherm.errors import OptionError
from isotherm.vlm.view import LanguageView, PromptInputs

BLIND = 1e-5
"""Changes below this share of the states are rounding."""


def image_states(view: LanguageView, prompt: PromptInputs) -> Float[Tensor, "n d"]:
    """The language model's last states at the vision tokens of a prompt, in the order of the tokens.

    Args:
        view: of the model.
        prompt: of the same view.
    """
    nothing = torch.zeros(1, 0, dtype=torch.long)
    with torch.no_grad():
        hidden = view.read(prompt, view.embed(prompt), nothing).hidden
    return hidden[0, prompt.positions.to(hidden.device)]


def instruction_change(view: LanguageView, first: PromptInputs, second: PromptInputs) -> float:
    """By how much the states at the vision tokens change where the instruction does, as a share of their size.

    Args:
        view: of the model.
        first, second: prompts about the same pictures with different words, such as ``view.ask([picture], "pick the red
            block")``.

    Returns:
        The mean absolute change over the mean absolute state; 0 for a model that is blind to its instruction there.

    Raises:
        OptionError: the same words, or other pictures.
    """
    if first.text == second.text:
        raise OptionError(f"both prompts say {first.text!r}; give two instructions that differ")
    if len(first.positions) != len(second.positions):
        raise OptionError(
            f"the prompts have {len(first.positions)} and {len(second.positions)} vision tokens; ask about the same pictures"
        )
    before, after = image_states(view, first), image_states(view, second)
    return float((after - before).abs().mean() / before.abs().mean())


def check_instruction_arrives(view: LanguageView, first: PromptInputs, second: PromptInputs) -> float:
    """As :func:`instruction_change`, with a warning where a head on these states would be blind to its instruction.

    Args:
        view, first, second: as there.

    Returns:
        The change, as a share of the states.
    """
    change = instruction_change(view, first, second)
    if change < BLIND:
        warnings.warn(
            f"the states of {view.name} at the picture's tokens change by {change:.1g} of their size where the instruction "
            "changes, so what is read from them cannot depend on it; put the text before the picture "
            "(ask(..., text_first=True)), take a model whose prompts see themselves both ways, or give the head the text",
            stacklevel=2,
        )
    return change
