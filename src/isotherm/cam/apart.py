"""Several layers whose maps stay apart: a method at each of them, in place of one map that is fused from all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from isotherm.cam.attribute import Layers, target_layers
from isotherm.cam.trace import LayerMap, Trace
from isotherm.cam.view import View
from isotherm.errors import MethodError
from isotherm.relevance.method import Method


@dataclass(frozen=True)
class AtLayer:
    """A method's map of one of the target layers alone.

    Args:
        method: gives a map for each target layer.
        number: of the layer, from 0, in the order in which they were asked for.
        count: how many target layers there are.
    """

    method: Method
    number: int
    count: int

    @property
    def name(self) -> str:
        return self.method.name

    @property
    def signed(self) -> bool:
        return self.method.signed

    @property
    def needs(self) -> frozenset[str]:
        return self.method.needs

    @property
    def explains(self) -> frozenset[str] | None:
        """The subjects of the method, as far as it says."""
        return getattr(self.method, "explains", None)

    def __call__(self, trace: Trace) -> list[LayerMap]:
        """The one map.

        Args:
            trace: of all target layers.

        Raises:
            MethodError: the method makes one map of all layers.
        """
        maps: list[LayerMap] = list(self.method(trace))
        if len(maps) != self.count:
            raise MethodError(
                f"{self.name} gives {len(maps)} map(s) of {self.count} layers, so that they cannot stay apart; "
                "let them be fused (fuse mean or max), or take a method of single layers, such as hirescam"
            )
        return [maps[self.number]]


def apart(view: View, methods: Sequence[Method], layers: Layers) -> list[Method]:
    """Each method at each target layer, a method's layers side by side.

    Args:
        view: the model.
        methods: in the order asked for.
        layers: as of :func:`isotherm.cam.attribute.attribute`.

    Raises:
        LayerError: a layer that there is not.
    """
    count = len(target_layers(view, layers))
    return [AtLayer(method, number, count) for method in methods for number in range(count)]
