"""What a start costs: processor seconds of whole commands, from nothing to the end of the process, beside importing torch.

Every turn runs each command once in a process of its own, with one thread, by the code here and by that of an earlier commit;
medians of the turns. Processor seconds of the process and of all that it starts, which other work on the machine changes
little. Maps are not checked, so what is left beside the imports is to open the model, to explain once, and to write.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.earlier import ROOT, earlier, environment_of
from bench.measure import publish, table, write

BEFORE = "a7a1a956604e3e6334f4bac73419371e550621d1"
"""The commit before model libraries were imported without torch's compiler."""
FLOOR = "python -c 'import torch'"
COMMANDS = {
    "isotherm --help": ["--help"],
    "isotherm explain missing.jpg": ["explain", "missing.jpg"],
    "isotherm explain photo.jpg": ["explain", "photo.jpg"],
    "... --model scenes": ["explain", "photo.jpg", "--model", "scenes"],
    "... --model resnet50 --weights none": ["explain", "photo.jpg", "--model", "resnet50", "--weights", "none"],
    "... --model yolo11n.yaml": ["explain", "photo.jpg", "--model", "yolo11n.yaml"],
}


def program(arguments: list[str]) -> list[str]:
    """The words that run a command of isotherm by whatever code PYTHONPATH names."""
    unchecked = ["--trust", "off", "--overwrite", "--out", "out"] if "photo.jpg" in arguments else []
    return [sys.executable, "-c", "from isotherm.console import entry; entry()", *arguments, *unchecked]


def processor_s(words: list[str], source: Path, folder: str) -> float:
    """Processor seconds of a process and of those that it started."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    alone = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "YOLO_OFFLINE": "1"}
    done = subprocess.run(words, cwd=folder, env={**environment_of(source), **alone}, capture_output=True, text=True)
    assert done.returncode == (2 if "missing.jpg" in words else 0), done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(*, quick: bool = False) -> None:
    from isotherm.data.photographs import PHOTOGRAPHS

    repeats = 1 if quick else 3
    jobs = {FLOOR: [sys.executable, "-c", "import torch"], **{name: program(words) for name, words in COMMANDS.items()}}
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in jobs}
    with earlier(BEFORE) as source, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "photo.jpg").symlink_to(PHOTOGRAPHS[0].fpath)
        for turn in range(repeats + 1):  # the first writes compiled files
            for name, words in jobs.items():
                for taken, code in zip(times[name], (source, ROOT / "src"), strict=True):
                    seconds = processor_s(words, code, folder)
                    if turn:
                        taken.append(seconds)
    found = {
        name: {"before": statistics.median(before), "now": statistics.median(now)}
        for name, (before, now) in times.items()
    }
    floor = found[FLOOR]["now"]
    rows = [[f"`{name}`", one["before"], one["now"], one["now"] / floor] for name, one in found.items()]
    text = table(
        f"Processor seconds of a start, medians of {repeats}",
        ["command", f"before ({BEFORE[:7]})", "now", "/ floor"],
        rows,
    )
    print(text)
    write("start", found, quick=quick)
    publish("start", [text], quick=quick)


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
