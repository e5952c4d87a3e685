"""``isotherm train scenes | detector | tiny-vlm | tiny-grounding | tiny-anticipation``: the job on the console."""

from __future__ import annotations

from collections.abc import Sequence

from isotherm.cli.console import ConsoleReporter, say
from isotherm.cli.options import TrainDetector, TrainScenes, TrainTinyAnticipation, TrainTinyGrounding, TrainTinyVlm
from isotherm.jobs.train.shipped import run as run_job

Shipped = TrainScenes | TrainDetector | TrainTinyVlm | TrainTinyGrounding | TrainTinyAnticipation


def run(options: Shipped, arguments: Sequence[str]) -> int:
    with ConsoleReporter(options, by_lines=True) as reporter:
        result = run_job(options, reporter)
    figures = result.facts["results"]["held_out"]
    shown = {name: value for name, value in figures.items() if isinstance(value, float)}
    say("held out: " + ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in shown.items()))
    usage = (
        f'predict grounding PICTURE "pick the red block" --run {result.fpath}'
        if isinstance(options, TrainTinyGrounding)
        else f"explain {'CLIP' if isinstance(options, TrainTinyAnticipation) else 'PICTURE'} --model {options.words[1]} --weights {result.fpath}"
    )
    say(f"trained: {result.fpath}\ntry it:  isotherm {usage}")
    return 0
