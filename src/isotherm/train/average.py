"""An exponential moving average of a model's weights."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from isotherm.errors import OptionError


class WeightAverage:
    """Weights that follow a model's slowly; the ones to evaluate and to ship.

    Args:
        model: whose floating-point parameters and buffers are averaged; frozen ones are shared, not copied.
        decay: per step, such as 0.999. Early on it is (1 + step) / (10 + step) where that is less, so that random
            weights of the start are forgotten.

    Source: Polyak and Juditsky (1992); the warm-up of TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        if not 0 <= decay < 1:
            raise OptionError(f"decay is {decay}; expected a number from 0 to less than 1, such as 0.999")
        self.decay, self.step = decay, 0
        self.trained = [name for name, p in model.named_parameters() if p.requires_grad]
        self.values: dict[str, Tensor] = {
            name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad
        }
        self.values |= {name: b.detach().clone() for name, b in model.named_buffers() if b.is_floating_point()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """One step towards the model's present weights."""
        self.step += 1
        decay = min(self.decay, (1 + self.step) / (10 + self.step))
        now = dict(model.named_parameters()) | dict(model.named_buffers())
        for name, value in self.values.items():
            value.lerp_(now[name].detach().to(value), 1 - decay)

    def applied_to(self, model: nn.Module) -> nn.Module:
        """A copy of the model with the averaged weights, in evaluation mode."""
        averaged = copy.deepcopy(model)
        self.copy_to(averaged)
        return averaged.eval()

    @torch.no_grad()
    def copy_to(self, model: nn.Module) -> None:
        """Give a model the averaged weights, in place.

        They are copied as they were read, parameter by parameter: a state dict may hold other numbers, as gates do.

        Args:
            model: the one that is averaged, or a copy of it.
        """
        now = dict(model.named_parameters()) | dict(model.named_buffers())
        for name, value in self.values.items():
            now[name].copy_(value)

    def state_dict(self) -> dict[str, object]:
        """What :meth:`load_state_dict` takes."""
        return {"step": self.step, "values": self.values}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Go on from a saved state."""
        values = state["values"]
        assert isinstance(values, dict)
        for name, value in self.values.items():
            value.copy_(values[name])
        self.step = int(state["step"])  # type: ignore[call-overload]
