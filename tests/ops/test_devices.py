"""Devices by name: those that are there, or a message; never an error of torch or a driver."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isotherm import explain, open_model
from isotherm.errors import OptionError
from isotherm.ops.devices import chosen_device

ABSENT = ("cuda:99", "mps:7", "xpu", "gpu", "cuda:x", "", "toaster", -1, 3.5)


@pytest.mark.parametrize("name", ABSENT)
def test_a_device_that_is_not_there_is_an_error_of_ours_at_every_door(name):
    with pytest.raises(OptionError, match=r"there is no device '.*' here \(.*\); expected auto, cpu") as caught:
        chosen_device(name)
    assert caught.value.on_command_line().startswith("--device: there is no device")
    for model in ("scenes", "detector", "tiny-vlm"):
        with pytest.raises(OptionError, match="there is no device"):
            open_model(model, device=name)
    with pytest.raises(OptionError, match="there is no device"):
        explain("scenes", np.zeros((8, 8, 3), np.uint8), device=name)


def test_devices_that_are_there():
    assert chosen_device(torch.device("cpu")) == chosen_device("cpu") == torch.device("cpu")
    assert chosen_device("auto").type in ("cpu", "cuda", "mps")
    assert open_model("scenes", device="auto") is not None
