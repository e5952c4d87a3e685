"""What can compute here: exactly the devices that there are are offered, asked for and taken."""

from __future__ import annotations

import pytest
import torch

from isotherm.errors import OptionError
from isotherm.ops.devices import chosen_device
from isotherm.studio.desk import facts
from isotherm.studio.requests import options_of


@pytest.fixture(params=[0, 1, 2])
def cards(request, monkeypatch) -> int:
    """A machine with so many graphics cards, as far as torch says."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    return request.param


def test_exactly_the_devices_that_there_are_are_offered(cards):
    assert facts.devices() == ["auto", "cpu", *(f"cuda:{i}" for i in range(cards))]


def test_a_device_that_is_offered_reaches_the_job_and_the_next_one_does_not(cards):
    offered = facts.devices()
    for device in offered:
        options = options_of("explain", {"device": device}, ["a.png"], models=["auto"], devices=offered)
        assert options.device == device
        assert str(chosen_device(options.device)) == (("cuda" if cards else "cpu") if device == "auto" else device)
    absent = f"cuda:{cards}"
    with pytest.raises(OptionError, match=f"there is no device '{absent}' here"):
        options_of("explain", {"device": absent}, ["a.png"], models=["auto"], devices=offered)
    with pytest.raises(OptionError, match=f"there is no device '{absent}' here"):
        chosen_device(absent)
