"""A recipe for keypoints: everything that decides a trained model, as one YAML file says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import yaml

from isotherm.errors import OptionError
from isotherm.train.devices import Devices
from isotherm.train.keypoint_build import ModelChoice
from isotherm.train.keypoint_data import DataChoice
from isotherm.train.keypoints import KeypointTraining
from isotherm.train.tracking import Tracking
from isotherm.untrusted.plain import DAMAGE, first_line


@dataclass(frozen=True, kw_only=True)
class KeypointRecipe:
    """Data, model and training decide the numbers; devices and tracking do not.

    Args:
        data: what to learn from.
        model: backbone and head.
        training: how.
        devices: where.
        tracking: who is told.
    """

    data: DataChoice
    model: ModelChoice = field(default_factory=ModelChoice)
    training: KeypointTraining = field(default_factory=KeypointTraining)
    devices: Devices = field(default_factory=Devices)
    tracking: Tracking = field(default_factory=Tracking)

    def __post_init__(self) -> None:
        if self.model.frozen == (self.training.backbone_rate > 0):
            raise OptionError(
                f"model.frozen is {self.model.frozen} and training.backbone_rate {self.training.backbone_rate}; a frozen backbone has the rate 0, one that is trained a rate above it"
            )

        if (self.model.head == "coordinates") != (self.training.objective.loss == "coordinate_mse"):
            raise OptionError(
                f"model.head is {self.model.head!r} and training.objective.loss {self.training.objective.loss!r}; the head 'coordinates' and the loss 'coordinate_mse' belong together"
            )

    def deciding(self) -> dict[str, Any]:
        """The parts that decide the numbers, as plain data."""
        return {"data": asdict(self.data), "model": asdict(self.model), "training": asdict(self.training)}


def with_settings(plain: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """A recipe as nested dictionaries with some values set, each written ``training.rate=3e-4`` in YAML's notation.

    Raises:
        OptionError: a setting without '=', or one that goes into something that is not a mapping.

    Example:
        >>> with_settings({"training": {"rate": 0.1}}, ["training.rate=3e-4", "model.widths=[8, 16]"])
        {'training': {'rate': 0.0003}, 'model': {'widths': [8, 16]}}
    """
    out = _copied(plain)
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals or not path:
            raise OptionError(f"{setting!r} sets nothing; write it as training.rate=3e-4")
        try:
            value = yaml.safe_load(text)
        except (yaml.YAMLError, *DAMAGE) as error:
            raise OptionError(f"{setting[:80]!r}: {text[:60]!r} is no value ({first_line(error)})") from error
        set_at(out, path, _number(value))
    return out


def set_at(plain: dict[str, Any], path: str, value: Any) -> None:
    """Set a value inside nested dictionaries, in place, by a path such as ``training.objective.sigma``."""
    *above, last = path.split(".")
    for name in above:
        plain = plain.setdefault(name, {})
        if not isinstance(plain, dict):
            raise OptionError(f"{path}: {name} is a value and has no parts")
    plain[last] = value


def _number(value: Any) -> Any:
    """YAML 1.1 reads 3e-4, without a point, as text."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return [_number(v) for v in value] if isinstance(value, list) else value


def _copied(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copied(value) if isinstance(value, Mapping) else value for key, value in plain.items()}
