"""Devices by name, for those that are there."""

from __future__ import annotations

from typing import Any

import torch

from isotherm.errors import OptionError

EXPECTED = "auto, cpu, cuda, cuda:1 or mps"


def chosen_device(name: Any) -> torch.device:
    """'auto' or the name of a torch device -> the device.

    Args:
        name: or a torch device.

    Raises:
        OptionError: no such device.

    Example:
        >>> chosen_device("cpu")
        device(type='cpu')
    """
    if isinstance(name, str) and name == "auto":
        return torch.device(
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    try:
        device = torch.device(name)
        there = {"cpu": True, "meta": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        if device.type not in there:
            torch.zeros(1, device=device)
        elif not there[device.type] or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
            raise RuntimeError(f"{device.type} has {torch.cuda.device_count() if device.type == 'cuda' else 0}")
    except (RuntimeError, AssertionError, TypeError, ValueError, NotImplementedError) as error:
        why = str(error).splitlines()[0][:200]
        words = f"there is no device {str(name)!r} here ({why}); expected {EXPECTED}"
        raise OptionError(words, command_line=f"--device: {words}") from error
    return device
