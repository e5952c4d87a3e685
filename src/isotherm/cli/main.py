"""``isotherm``: parse, run, and turn every mistake of a user into one message and exit code 2."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from itertools import pairwise, takewhile
from pathlib import Path
from typing import get_type_hints

import tyro

from isotherm.cli.options import COMMANDS, PAIRS, Command, Common
from isotherm.errors import IsothermError, OptionError
from isotherm.ops.visible import visible
from isotherm.version import __version__

RUNNERS = {
    "Explain": "explain",
    "Layers": "layers",
    "Methods": "methods",
    "Show": "show",
    "Runs": "runs",
    "Studio": "studio",
    "Demo": "demo",
    "TrainKeypoints": "train_keypoints",
    "TrainGrounding": "train_grounding",
    "TrainAnticipation": "train_anticipation",
    "TrainScenes": "train_shipped",
    "TrainDetector": "train_shipped",
    "TrainTinyVlm": "train_shipped",
    "TrainTinyGrounding": "train_shipped",
    "TrainTinyAnticipation": "train_shipped",
    "Count": "count",
    "EvalFsc147": "eval_fsc147",
    "EvalKeypoints": "eval_keypoints",
    "EvalGrounding": "eval_grounding",
    "EvalGaze": "eval_gaze",
    "PredictKeypoints": "predict_keypoints",
    "PredictGrounding": "predict_grounding",
    "GazePredict": "gaze_predict",
    "Lift": "lift",
    "AblateAnticipation": "ablate_anticipation",
    "Sweep": "sweep",
    "GazeImport": "gaze_import",
    "GazeDraw": "gaze_draw",
    "GazeConvert": "gaze_convert",
}
INTERRUPTED = 130
LISTS = ("class", "classes", "layer", "compare", "target", "arms")
"""Options that take several entries at once."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 done, 1 some inputs failed, 2 a mistake in what was given, 130
    interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments in (["--version"], ["-V"]):
        print(f"isotherm {__version__}")
        return 0
    if arguments and arguments[0] in PAIRS and (len(arguments) == 1 or arguments[1].startswith("-")):
        known = [name for name in COMMANDS if name.startswith(f"{arguments[0]} ")]
        helps, seconds = {"-h", "--help"}, {name.partition(" ")[2] for name in known}
        helped = bool(helps & set(arguments)) and set(arguments[1:]) <= helps | seconds
        print(
            f"isotherm {arguments[0]}: say what, as in: isotherm {' | isotherm '.join(known)}",
            file=sys.stdout if helped else sys.stderr,
        )
        return 0 if helped else 2
    try:
        refuse_unknown(arguments)
        refuse_renamed(arguments)
        refuse_hyphens(arguments)
        options: Common = tyro.cli(
            Command, prog="isotherm", description="Heatmaps of any vision model.", args=_paired(arguments) or ["--help"]
        )  # type: ignore[call-overload]
    except SystemExit as stop:
        return _code(stop)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # a long help, piped into head
        return _unread()
    except IsothermError as error:  # options that do not go together, or are out of range
        if "--debug" in arguments:
            traceback.print_exc()
        _complain(error.on_command_line())
        return 2
    os.environ.setdefault("ULTRALYTICS_SAFE_LOAD", "1")
    try:
        refuse_repeated(arguments, type(options))
        # a command's module imports torch, so it is loaded only when the command runs
        runner = importlib.import_module(f"isotherm.cli.{RUNNERS[type(options).__name__]}")
        return runner.run(options, arguments)
    except KeyboardInterrupt:
        print("\nstopped; what was finished is kept", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        return _unread()
    except IsothermError as error:
        if options.debug:
            traceback.print_exc()
        _complain(error.on_command_line())
        return 2
    except OSError as error:
        if options.debug:
            traceback.print_exc()
        if error.filename is None:  # no file's fault
            _complain(f"{type(error).__name__}: {error}")
        else:
            _complain(
                f"{error.filename} cannot be read or written ({error.strerror or error}); look at the permissions of its folder and the space "
                "that is left, or choose another folder"
            )
        return 2
    except Exception as error:  # a fault of ours or of a model: still no traceback unless asked for
        if options.debug:
            traceback.print_exc()
        if type(error).__name__ == "OutOfMemoryError":  # torch's, which need not be imported to say so
            _complain(
                "the accelerator's memory is too small for a single picture: choose a smaller --size or model, or --device cpu, or end what else "
                f"uses it ({str(error).splitlines()[0][:200]})"
            )
            return 2
        _complain(f"{type(error).__name__}: {error}\nThis was not foreseen; run again with --debug for the traceback.")
        return 2


def _complain(text: str) -> None:
    print(f"isotherm: {visible(text, lines=True)}", file=sys.stderr)


def _unread() -> int:
    """End in order where nobody reads on: what is still to be written goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def refuse_repeated(arguments: Sequence[str], command: type) -> None:
    """Refuse a command line that gives an option with one value more than once.

    Args:
        arguments: of the command line.
        command: the dataclass of its options; those that may be repeated are tuples.

    Raises:
        OptionError: with the values that were given, and how to give several where the option takes several.
    """
    values: dict[str, list[str]] = {}
    words = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    for i, word in enumerate(words):
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            values.setdefault(name.replace("_", "-"), []).append(
                value if equals else words[i + 1] if i + 1 < len(words) else ""
            )
    single = _single(command)
    for name, several in values.items():
        if len(several) > 1 and name in single:
            advice = f"separate several by commas: --{name} {','.join(several)}" if name in LISTS else "give it once"
            raise OptionError(
                f"--{name} is given {len(several)} times ({', '.join(several)}), and only the last would count; {advice}"
            )


def _single(command: type) -> set[str]:
    """The options of a command that take one value; switches, and what may be repeated, are left out."""
    hints = get_type_hints(command)
    assert is_dataclass(command)
    names = getattr(command, "names", {})
    hint_of = {names.get(f.name, f.name): hints[f.name] for f in fields(command)}
    return {name.replace("_", "-") for name, hint in hint_of.items() if hint is not bool and "tuple" not in str(hint)}


def refuse_renamed(arguments: Sequence[str]) -> None:
    """Refuse a command line in an old spelling.

    Raises:
        OptionError: ``--trust FILE``, which is how a file was once allowed to run code.
    """
    words = [part for word in arguments for part in (word.split("=", 1) if word.startswith("--trust=") else [word])]
    for option, value in pairwise(words):
        if option == "--trust" and (Path(value).suffix or Path(value).is_file()):
            raise OptionError(
                f"--trust {value}: --trust is only how thoroughly maps are judged; "
                f"a file that may run code while it is opened is named with --allow-code {value}"
            )


def refuse_unknown(arguments: Sequence[str]) -> None:
    """Refuse a command that there is not, and options that stand before a command, where only --help may stand.

    Raises:
        OptionError: with the commands that there are, the nearest one first.
    """
    helps = [word for word in arguments if word in ("-h", "--help")]
    if arguments and arguments[0].startswith("-") and len(arguments) > len(helps):
        options = list(takewhile(lambda word: word.startswith("-"), arguments))
        refuse_unknown(arguments[len(options) :])
        first = next((word for word in options if word not in helps), None)
        if first is not None:
            raise OptionError(f"{first} stands before a command; write: isotherm COMMAND {first}")
    known = list(dict.fromkeys(name.split()[0] for name in COMMANDS))
    if arguments and not arguments[0].startswith("-") and arguments[0] not in known:
        near = difflib.get_close_matches(arguments[0], known, 1)
        advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        raise OptionError(f"there is no command {arguments[0]!r}; {advice}")
    if len(arguments) > 1 and arguments[0] in PAIRS and not arguments[1].startswith("-"):
        pairs = [name for name in COMMANDS if name.startswith(f"{arguments[0]} ")]
        if f"{arguments[0]} {arguments[1]}" not in pairs:
            near = difflib.get_close_matches(f"{arguments[0]} {arguments[1]}", pairs, 1)
            advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(pairs)}"
            raise OptionError(f"there is no command '{arguments[0]} {arguments[1]}'; {advice}")


def refuse_hyphens(arguments: Sequence[str]) -> None:
    """Refuse a file whose name begins like an option.

    Raises:
        OptionError: with how to name it.
    """
    for word in arguments:
        if word.startswith("-") and word not in ("-", "--") and os.path.lexists(word):
            raise OptionError(f"{word} is a file here, and is taken for an option; write ./{word} for the file")


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
