"""Models whose answer does not depend on what they see, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from isotherm.cam.capture import evaluating
from isotherm.cam.view import Inputs
from isotherm.models.shared.squares import Run


def why_idle(model: nn.Module, run: Run, answer: Callable[[Any], Tensor], inputs: Inputs) -> str | None:
    """What is wrong with a model whose answer does not depend on its input at all; None where it does.

    Args:
        model: whose weights are looked at.
        run: its forward pass.
        answer: raw output -> (b, ...) whose largest value per picture is explained.
        inputs: one picture.
    """
    tensor = inputs.tensor.detach().clone().requires_grad_()
    with evaluating(model):
        output = answer(run(inputs.with_tensor(tensor)))
    if output.requires_grad:
        scores = output.flatten(1).float().amax(1)
        (gradient,) = torch.autograd.grad(scores.sum(), [tensor], allow_unused=True)
        if gradient is not None and bool(gradient.any()):
            return None
    zero = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d) and not bool(module.weight.any())
    ]
    return (
        f"the answer of this {type(model).__name__} does not depend on its input: no gradient reaches it"
        + (f", as all weights of its layer {zero[-1]} are 0, which is how some heads begin" if zero else "")
        + "; load trained weights, or give target=, a function of what it puts out that depends on the picture"
    )
