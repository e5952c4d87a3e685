"""How large the network would be that a description of YOLO asks for, seen before memory is asked for."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch

from isotherm import limits
from isotherm.errors import AdapterError
from isotherm.untrusted.networks import bare, counted


def check_size(description: Mapping[str, Any], stem: str, named: object) -> None:
    """Build what a description asks for without memory and without numbers.

    Args:
        description: checked, as plain data.
        stem: the name by which the package chooses one of its scales.
        named: its file, for messages.

    Raises:
        AdapterError: it has more modules or numbers than isotherm's limits, or a layer of the package does not take
            what it is given.
    """
    from ultralytics.nn.tasks import guess_model_scale, parse_model

    plain = copy.deepcopy(dict(description))
    if scales := plain.get("scales"):  # as the package does, which says so when it comes to its turn
        plain["scale"] = guess_model_scale(f"{stem}.yaml") or plain.get("scale") or next(iter(scales))
    try:
        with torch.random.fork_rng(devices=[]), bare(), counted(limits.DESCRIPTION_NUMBERS):
            parse_model(plain, ch=int(plain.get("channels") or plain.get("ch") or 3), verbose=False)
    except Exception as error:  # whatever its layers raise at sizes that do not fit
        first = (str(error).strip().splitlines() or [""])[0][:200]
        raise AdapterError(
            f"the architecture {named} cannot be built ({type(error).__name__}: {first}); correct its layers"
        ) from error
