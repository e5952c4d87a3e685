"""Every error that isotherm raises on purpose, as one tree.

A message says three things: what was given, what was expected, what to do about it.
The command line prints the message alone and exits with code 2; ``--debug`` adds the traceback.
"""


class IsothermError(Exception):
    """Root of all errors that a user's input can cause."""


class FrameError(IsothermError):
    """A frame that cannot exist, be inverted, be composed or be batched as asked."""


class ShapeError(IsothermError):
    """An array whose shape, dtype or device does not fit the others."""


class KindError(IsothermError):
    """A heatmap whose numbers mean something else than the operation needs."""


class LayerError(IsothermError):
    """A target layer that does not exist, ran more than once, or has no path to the score."""


class MethodError(IsothermError):
    """A method that cannot be applied to this model, layer or score."""


class TargetError(IsothermError):
    """Something to explain that the model did not find or does not have."""


class AnnotationError(IsothermError):
    """Text about places in a picture, a person's or a model's, that does not say what was expected.

    ``line`` and ``column`` count from 1, and name the first character that is wrong.
    """

    def __init__(self, text: str, position: int, found: str, expected: str) -> None:
        before = text[:position]
        self.line, self.column = before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1
        where = f"line {self.line}, column {self.column}" if "\n" in text else f"column {self.column}"
        # a quarter of a page of model output would hide the message
        shown = text if len(text) <= 60 else f"{text[:57]}..."
        super().__init__(f"{where} of {shown!r}: found {found}; expected {expected}")


class AdapterError(IsothermError):
    """A model that isotherm cannot read."""


class WeightsError(IsothermError):
    """A weights file that is missing, broken, or not safe to open."""


class InputError(IsothermError):
    """A picture, video, list or address that cannot be read."""


class OptionError(IsothermError):
    """A command-line or configuration value outside of what is allowed."""


class MissingExtraError(IsothermError):
    """An optional package that this job needs is not installed."""

    def __init__(self, package: str, extra: str, job: str) -> None:
        super().__init__(
            f"{job} needs the package {package}, which is not installed; "
            f"run: pip install 'isotherm[{extra}]'"
        )
        self.package = package
        self.extra = extra
