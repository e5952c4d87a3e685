"""``isotherm``: parse, run, and turn every mistake of a user into one message and exit code 2."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence

import tyro

from isotherm.cli.arguments import refuse_renamed, refuse_repeated
from isotherm.cli.common_options import Common
from isotherm.cli.options import COMMANDS, PAIRS, Command
from isotherm.errors import IsothermError
from isotherm.version import __version__

RUNNERS = {
    "Explain": "explain",
    "Layers": "layers",
    "Methods": "methods",
    "Show": "show",
    "Demo": "demo",
    "TrainKeypoints": "train_keypoints",
    "TrainScenes": "train_shipped",
    "TrainDetector": "train_shipped",
    "TrainTinyVlm": "train_shipped",
    "Count": "count",
    "EvalFsc147": "eval_fsc147",
    "EvalKeypoints": "eval_keypoints",
    "PredictKeypoints": "predict_keypoints",
    "Sweep": "sweep",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 done, 1 some inputs failed, 2 a mistake in what was given, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments in (["--version"], ["-V"]):
        print(f"isotherm {__version__}")
        return 0
    if arguments and arguments[0] in PAIRS and (len(arguments) == 1 or arguments[1].startswith("-")):
        known = [name for name in COMMANDS if name.startswith(f"{arguments[0]} ")]
        print(f"isotherm {arguments[0]}: say what, as in: isotherm {' | isotherm '.join(known)}", file=sys.stderr)
        return 0 if {"-h", "--help"} & set(arguments) else 2
    try:
        refuse_renamed(arguments)
        options: Common = tyro.cli(
            Command, prog="isotherm", description="Heatmaps of any vision model.", args=_paired(arguments) or ["--help"]
        )  # type: ignore[call-overload]
    except SystemExit as stop:
        return _code(stop)
    except IsothermError as error:  # options that do not go together, or are out of range
        if "--debug" in arguments:
            traceback.print_exc()
        print(f"isotherm: {error}", file=sys.stderr)
        return 2
    os.environ.setdefault("ULTRALYTICS_SAFE_LOAD", "1")
    try:
        refuse_repeated(arguments, type(options))
        # a command's module imports torch, so it is loaded only when the command runs
        runner = importlib.import_module(f"isotherm.cli.{RUNNERS[type(options).__name__]}")
        return runner.run(options, arguments)
    except KeyboardInterrupt:
        print("\nstopped; what was finished is kept", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except IsothermError as error:
        if options.debug:
            traceback.print_exc()
        print(f"isotherm: {error}", file=sys.stderr)
        return 2
    except Exception as error:  # a fault of ours or of a model: still no traceback unless asked for
        if options.debug:
            traceback.print_exc()
        print(
            f"isotherm: {type(error).__name__}: {error}\nThis was not foreseen; run again with --debug for the traceback.",
            file=sys.stderr,
        )
        return 2


def _paired(arguments: Sequence[str]) -> list[str]:
    """'train', 'keypoints' -> 'train keypoints', which is how the command is called."""
    if len(arguments) > 1 and arguments[0] in PAIRS and not arguments[1].startswith("-"):
        return [f"{arguments[0]} {arguments[1]}", *arguments[2:]]
    return list(arguments)


def _code(stop: SystemExit) -> int:
    return stop.code if isinstance(stop.code, int) else 2 if stop.code else 0


def entry() -> None:
    """The console script."""
    sys.exit(main())
