"""Programs that are killed at random moments: what they acknowledged is there, whole, and the next start goes on and sweeps.

``python -m bench.kills`` kills 200 times (SIGKILL): explanations, counts, trainings, a sweep on Ray, and a studio with its
worker while people ask, write and delete. ``python -m bench.kills explain train`` only those. After each kill everything that
was recorded as done is read and compared with what a run gave that nobody killed; trainings go on by the same command and
have to end in the same bytes.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.measure import insert, table, threads, write

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
PROGRAM = "import sys\nfrom isotherm.cli import main\nsys.exit(main(sys.argv[1:]))\n"
KILLS = {"explain": 60, "count": 30, "train": 60, "sweep": 10, "studio": 40}
PICTURES = 8


@dataclass
class Tally:
    """What came of the kills of one command.

    Args:
        kills: that met the program at work.
        acknowledged: things that were recorded as done when it was killed.
        swept: hidden files that were left, and were gone after the next start.
        wrong: in words, with the number of the kill.
    """

    kills: int = 0
    acknowledged: int = 0
    swept: int = 0
    wrong: list[str] = field(default_factory=list)


class Killer:
    """Starts the command line in a process that has it imported, and kills it."""

    def __init__(self, folder: Path, seed: int) -> None:
        from rigs.forked_programs import ForkedPrograms

        self.folder, self.programs, self.chance = folder, ForkedPrograms(), random.Random(seed)

    def whole(self, words: Sequence[str]) -> float:
        """Let it end by itself; the seconds that it took."""
        began = time.monotonic()
        ended = self.programs.run(PROGRAM, words, cwd=self.folder)
        if ended.returncode:
            raise RuntimeError(f"{words} ended with {ended.returncode}: {ended.stderr}")
        return time.monotonic() - began

    def kill(self, words: Sequence[str], within_s: float) -> bool:
        """Kill it at some moment; False: it had ended."""
        process = self.programs.start(PROGRAM, words, cwd=self.folder)
        time.sleep(self.chance.uniform(0, within_s))
        return process.kill().returncode < 0


def hidden(folder: Path) -> set[Path]:
    """Files of writers that are gone."""
    return {f for f in folder.rglob(".isotherm-*.part") if f.is_file()}


def _pictures(folder: Path) -> None:
    import numpy as np
    from PIL import Image

    folder.mkdir()
    for i in range(PICTURES):
        picture = np.random.default_rng(i).integers(0, 255, (96, 128, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"{i}.png")


def _same_files(one: dict[str, Any], folder: Path, reference: Path) -> list[str]:
    """What is wrong with the files of an item that was recorded as done."""
    import numpy as np

    wrong = []
    for name in one["files"]:
        if name.endswith((".npz", ".json")) and not (folder / name).is_file():
            wrong.append(f"{name} is missing")
        elif name.endswith(".npz"):
            with np.load(folder / name) as own, np.load(reference / name) as other:
                wrong += [f"{name} has other {key}" for key in other.files if not np.array_equal(own[key], other[key])]
        elif name.endswith((".jpg", ".png")) and (folder / name).read_bytes() != (reference / name).read_bytes():
            wrong.append(f"{name} is another file")
    return wrong


def _recorded(killer: Killer, kills: int, words: Sequence[str], pictures: int) -> Tally:
    """Kills of a command that works through pictures and records each."""
    from isotherm.runs.read import read_items, read_run

    words = [*words, "--out", "out", "--overwrite"]
    tally, reference, out = Tally(), killer.folder / "reference", killer.folder / "out"
    killer.whole(words)
    out.rename(reference)  # by the same command, which stands in its pictures
    long = killer.whole(words) * 1.1
    left: set[Path] = set()
    while tally.kills < kills:
        if not killer.kill(words, long):
            continue
        tally.kills += 1
        if not (out / "run.json").exists():
            continue
        read_run(out)
        items = read_items(out)
        tally.acknowledged += len(items)
        for one in items:
            tally.wrong += [f"kill {tally.kills}: {text}" for text in _same_files(one, out, reference)]
        tally.swept += len(left - hidden(out))
        left = hidden(out)
    killer.whole(words)
    tally.swept += len(left - hidden(out))
    tally.wrong += [f"{fpath.name} was left" for fpath in hidden(out)]
    if len(read_items(out)) != pictures:
        tally.wrong.append(f"{len(read_items(out))} items of {pictures} at the end")
    return tally


def _explain(killer: Killer, kills: int) -> Tally:
    _pictures(killer.folder / "in")
    return _recorded(killer, kills, ["explain", "in", "--model", "scenes", "--quiet"], PICTURES)


def _count(killer: Killer, kills: int) -> Tally:
    _pictures(killer.folder / "in")
    words = [
        "count",
        "in",
        "--model",
        "tiny-vlm",
        "--category",
        "red",
        "--strategy",
        "dense",
        "--grid",
        "2x2",
        "--quiet",
    ]
    return _recorded(killer, kills, words, PICTURES)


TRAINING = {
    "training.close_ups": 32,
    "training.close_up_steps": 6,
    "training.scenes": 32,
    "training.batch": 4,
    "training.log_every": 1,
    "training.keep_every": 2,
    "training.schedule.warm_up": 1,
    "validated": 4,
    "held_out": 4,
}


def _train(killer: Killer, kills: int) -> Tally:
    """Trainings go on by the same command until they have ended; then the next begins."""
    from isotherm.train.run_folder import read_figures

    settings = [word for name, value in TRAINING.items() for word in ("--set", f"{name}={value}")]
    words = ["train", "scenes", "--steps", "16", "--threads", "1", *settings, "--quiet"]
    long = killer.whole([*words, "--out", "reference.safetensors"])
    whole, tally, left = (killer.folder / "reference.safetensors").read_bytes(), Tally(), set[Path]()
    figures = read_figures(killer.folder / "reference.run/metrics.csv")
    folder, out = killer.folder / "own.run", killer.folder / "own.safetensors"
    while tally.kills < kills:
        was_killed = killer.kill([*words, "--out", "own.safetensors"], long)
        tally.swept += len(left - hidden(killer.folder))
        left = hidden(killer.folder)
        tally.kills += was_killed
        if (folder / "metrics.csv").exists():
            rows = read_figures(folder / "metrics.csv")
            if rows != figures[: len(rows)]:
                tally.wrong.append(f"kill {tally.kills}: other figures in its {len(rows)} rows")
        if out.exists():
            tally.acknowledged += 1
            if out.read_bytes() != whole:
                tally.wrong.append(f"kill {tally.kills}: other weights")
        if not was_killed:
            if not out.exists():
                tally.wrong.append(f"kill {tally.kills}: a training that was gone on with did not end")
            shutil.rmtree(folder, ignore_errors=True)
            out.unlink(missing_ok=True)
            left = set()
    killer.whole([*words, "--out", "own.safetensors"])
    if out.read_bytes() != whole:
        tally.wrong.append("at the end: other weights")
    tally.wrong += [f"{fpath.name} was left" for fpath in hidden(killer.folder)]
    return tally


SWEEP = {
    "task": "scenes",
    "recipe": "recipe.yaml",
    "values": {"training.rate": [0.001, 0.003]},
    "metric": "score",
    "at_once": 1,
}


def _sweep(killer: Killer, kills: int) -> Tally:
    """A sweep and its trials, on Ray, killed together; the same command goes on with both."""
    import yaml

    recipe: dict[str, Any] = {"training": {"steps": 8}}
    for name, value in TRAINING.items():
        at = recipe
        *way, last = name.split(".")
        for part in way:
            at = at.setdefault(part, {})
        at[last] = value
    recipe["training"]["close_up_steps"] = 2
    (killer.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (killer.folder / "sweep.yaml").write_text(yaml.safe_dump(SWEEP))
    words = ["sweep", "sweep.yaml", "--quiet"]
    long = killer.whole([*words, "--out", "reference"])
    tally = Tally()
    weights = {
        f.relative_to(killer.folder / "reference"): f.read_bytes()
        for f in (killer.folder / "reference").rglob("*.safetensors")
    }
    while tally.kills < kills:
        tally.kills += killer.kill([*words, "--out", "own"], long)
        for name in weights:
            if (killer.folder / "own" / name).exists():
                tally.acknowledged += 1
                if (killer.folder / "own" / name).read_bytes() != weights[name]:
                    tally.wrong.append(f"kill {tally.kills}: {name} has other weights")
        if len([n for n in weights if (killer.folder / "own" / n).exists()]) == len(weights):
            shutil.rmtree(killer.folder / "own")
    killer.whole([*words, "--out", "own"])
    tally.wrong += [
        f"at the end: {name}"
        for name, content in weights.items()
        if (killer.folder / "own" / name).read_bytes() != content
    ]
    tally.wrong += [f"{fpath.name} was left" for fpath in hidden(killer.folder)]
    return tally


def _studio(killer: Killer, kills: int) -> Tally:
    from bench.serving.kills import kill_often

    found = kill_often(killer.folder, kills=kills)
    counts = (found[name] for name in ("pictures_acknowledged", "runs_acknowledged", "notes_acknowledged"))
    return Tally(found["kills"], sum(counts), 0, [*map(str, found["wrong"]), *map(str, found["left_on_disk"])])


PARTS: dict[str, Callable[[Killer, int], Tally]] = {
    "explain": _explain,
    "count": _count,
    "train": _train,
    "sweep": _sweep,
    "studio": _studio,
}
WHAT = {
    "explain": "maps of pictures",
    "count": "counts of pictures",
    "train": "trainings that had ended",
    "sweep": "trials that had ended",
    "studio": "pictures, runs and notes",
}


def main(*, quick: bool = False, names: Sequence[str] = (), seed: int = 0) -> int:
    """Kill, look, and write the table; the exit code is 1 where anything was wrong."""
    threads(1)
    results, began = {}, time.monotonic()
    for name in names or PARTS:
        with tempfile.TemporaryDirectory(prefix="kills-") as dpath:
            killer = Killer(Path(dpath), seed)
            tally = PARTS[name](killer, 3 if quick else KILLS[name])
            killer.programs.close()
        results[name] = tally.__dict__
        print(f"{name}: {json.dumps(tally.__dict__)[:600]}", flush=True)
    rows = [
        [f"`isotherm {name}`", t["kills"], f"{t['acknowledged']} ({WHAT[name]})", t["swept"], len(t["wrong"])]
        for name, t in results.items()
    ]
    kills, wrong = (sum(row[i] for row in rows) for i in (1, 4))
    text = table(
        f"{kills} kills, {wrong} faults, {(time.monotonic() - began) / 60:.0f} minutes",
        [
            "killed",
            "times",
            "acknowledged before, and looked at after",
            "hidden files swept up",
            "lost, damaged or left",
        ],
        rows,
    )
    print(text)
    if not names:
        write("kills", {"seed": seed, "results": results}, quick=quick)
        if not quick:
            insert(ROOT / "docs/hardening.md", "kills", text)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(quick="--quick" in sys.argv, names=[a for a in sys.argv[1:] if not a.startswith("-")]))
