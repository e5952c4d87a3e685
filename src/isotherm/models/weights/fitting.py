"""Weights by name into a network that has the same ones, perhaps under longer names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor, nn

from isotherm.errors import WeightsError
from isotherm.models.weights.permission import Say, to_stderr

WRAPPERS = re.compile(r"(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""Names that torch.compile and its other wrappers put in between, and nobody else uses."""

HEAD = re.compile(r"(^|[._])(head|heads|fc|classifier|logits|cls|score)(\d*|[._].*)$")
"""What the layer is called whose outputs are the classes."""


def as_named(
    state: Mapping[str, Tensor], names: Iterable[str], fpath: Path, *, say: Say = to_stderr
) -> dict[str, Tensor]:
    """Weights under the names that a network has for them: without what wraps it in a checkpoint.

    What stands in front (``module.`` of data-parallel training, ``model.`` of Lightning) is taken off where all of the
    network lies behind it. What else a checkpoint holds then, such as a loss with weights, is left out and named.

    Args:
        state: the weights of a file.
        names: those that the network has and cannot do without.
        fpath: the file, for the line about what was left out.
        say: where that line goes.

    Example:
        >>> import torch
        >>> as_named({"module.fc.weight": torch.ones(1)}, ["fc.weight"], Path("last.ckpt"))
        {'fc.weight': tensor([1.])}
    """
    plain = {WRAPPERS.sub("", name): tensor for name, tensor in state.items()}
    own = set(names)
    if not own or own & plain.keys():
        return plain
    fronts = Counter(
        name[: -len(end)] for name in plain for end in _ends(name) if end in own and not name[: -len(end)].count("..")
    )
    if not fronts:
        return plain
    front, count = fronts.most_common(1)[0]
    behind = {name[len(front) :]: tensor for name, tensor in plain.items() if name.startswith(front)}
    others = [name for name in plain if not name.startswith(front)]
    if count < len(own):  # what is missing is told by these names
        return behind | {name: plain[name] for name in others}
    if others:
        say(f"{fpath}: {len(others)} weights are not of the network and are left out ({', '.join(others[:3])})")
    return behind


def _ends(name: str) -> list[str]:
    """What is left of a name when one part after the other is taken off in front."""
    parts = name.split(".")
    return [".".join(parts[i:]) for i in range(1, len(parts))]


def load_fitting(
    model: nn.Module,
    state: Mapping[str, Tensor],
    name: str,
    fpath: Path,
    *,
    optional: tuple[str, ...] = (),
    say: Say = to_stderr,
) -> None:
    """A state dict into a model, all of it.

    Args:
        state: with the model's names, or with something in front of all of them, see :func:`as_named`.
        name, fpath: of the model and the file, for messages.
        optional: beginnings of names that either side may lack.
        say: where a line about weights goes that are not of the model.

    Raises:
        WeightsError: a weight has another shape, is missing, or is unknown.
    """
    own = model.state_dict()
    state = as_named(state, needed(own, optional), fpath, say=say)
    other = {
        key: (tuple(state[key].shape), tuple(tensor.shape))
        for key, tensor in own.items()
        if key in state and isinstance(tensor, Tensor) and state[key].shape != tensor.shape
    }
    if other:
        raise WeightsError(_of_other_shapes(other, len(own), name, fpath))
    try:
        missing, unexpected = model.load_state_dict(dict(state), strict=False)
    except RuntimeError as error:
        raise WeightsError(f"{fpath} does not fit {name}: {str(error).splitlines()[-1].strip()}") from error
    # old files have no counters of batches, and nothing reads them
    missing = [k for k in missing if not k.startswith(optional) and not k.endswith("num_batches_tracked")]
    unexpected = [k for k in unexpected if not k.startswith(optional)]
    if missing or unexpected:
        raise WeightsError(
            f"{fpath} does not fit {name}: {len(missing)} weights are missing ({', '.join(missing[:3]) or 'none'}) and "
            f"{len(unexpected)} are unknown ({', '.join(unexpected[:3]) or 'none'}); is it a file for another model?"
        )


def needed(names: Iterable[str], optional: tuple[str, ...] = ()) -> list[str]:
    """Those of a network's weights that a file must have."""
    return [name for name in names if not name.startswith(optional) and not name.endswith("num_batches_tracked")]


def _of_other_shapes(
    other: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]], count: int, name: str, fpath: Path
) -> str:
    """What is wrong where weights have other shapes than the network's, in one sentence.

    Args:
        other: (in the file, in the network) by name.
        count: weights of the network.
    """
    key, (there, here) = next(iter(other.items()))
    layers = {one.rpartition(".")[0] for one in other}
    if len(layers) == 1 and HEAD.search(layer := layers.pop()) and all(a[1:] == b[1:] for a, b in other.values()):
        return (
            f"{fpath} is for {there[0]} classes and {name} has {here[0]} ({layer} is its last layer); make the network "
            f"with {there[0]} classes, or give a file for {here[0]}"
        )
    return (
        f"{fpath} does not fit {name}: {len(other)} of {count} weights have other shapes, such as {key}, {list(there)} in the file and "
        f"{list(here)} in the network; is it a file for another model?"
    )
