"""Every error that isotherm raises on purpose, as one tree.

A message says three things: what was given, what was expected, what to do about it, in Python's words. Where the
command line has other words for it, the error holds both. The command line prints its message alone and exits with code
2; ``--debug`` adds the traceback.
"""

from __future__ import annotations

from collections.abc import Sequence


class IsothermError(Exception):
    """Root of all errors that a user's input can cause.

    Args:
        message: in Python's words.
        command_line: the whole message in the command line's words, where they differ.
    """

    def __init__(self, message: str = "", *, command_line: str = "") -> None:
        super().__init__(message)
        self._command_line = command_line

    def on_command_line(self) -> str:
        """The message in the command line's words."""
        return self._command_line or str(self)


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


class UnfitTargetError(TargetError):
    """Something to explain that no picture of this model can have: of another kind of model, or a part or a class that
    it does not have.

    Args:
        message: in Python's words.
        gives: what the model gives, where it is of another kind: a classifier, a detector or a segmenter.
    """

    def __init__(self, message: str, *, gives: str = "") -> None:
        super().__init__(message)
        self.gives = gives


class NonFiniteError(IsothermError):
    """A number between a picture and its map that is NaN or infinite, so that there is no map to show.

    Args:
        problem: what is not finite, and where the first such value arises.
        advice: what to do about it, in Python's words.
        option: the same in the command line's words, where they differ.
        layer: the name of the layer at which the first value that is not finite arises, or None.
        rows: of the batch, which pictures have failed; empty where that is not known.
    """

    def __init__(
        self, problem: str, *, advice: str = "", option: str = "", layer: str | None = None, rows: tuple[int, ...] = ()
    ) -> None:
        super().__init__(f"{problem}; {advice}" if advice else problem)
        self.problem, self.advice, self.option, self.layer, self.rows = problem, advice, option or advice, layer, rows

    def on_command_line(self) -> str:
        """The message in the command line's words."""
        return f"{self.problem}; {self.option}" if self.option else self.problem

    def of_pictures(self, names: Sequence[str]) -> NonFiniteError:
        """The same, with the names of the pictures that have failed in front; a batch of one needs none.

        Args:
            names: of all pictures of the batch.
        """
        failed = [names[row] for row in self.rows]
        if len(names) == 1 or not failed:
            return self
        problem = f"{', '.join(failed)}: {self.problem}"
        return NonFiniteError(problem, advice=self.advice, option=self.option, layer=self.layer, rows=self.rows)


class AnnotationError(IsothermError):
    """Text about places in a picture, a person's or a model's, that does not say what was expected.

    ``line`` and ``column`` count from 1, and name the first character that is wrong.
    """

    def __init__(self, text: str, position: int, actual: str, expected: str) -> None:
        before = text[:position]
        self.line, self.column = before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1
        where = f"line {self.line}, column {self.column}" if "\n" in text else f"column {self.column}"
        # a quarter of a page of model output would hide the message
        shown = text if len(text) <= 60 else f"{text[:57]}..."
        super().__init__(f"{where} of {shown!r}: found {actual}; expected {expected}")


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
            f"{job} needs the package {package}, which is not installed; run: pip install 'isotherm[{extra}]'"
        )
        self.package = package
        self.extra = extra


class JobCancelled(IsothermError):
    """A job was asked to end; what was finished is kept."""
