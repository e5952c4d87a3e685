"""Which families of vision-language models of transformers are explained: each as a tiny model with random weights and its
real processor, opened, put to the test by changed pixels, and explained by every method. Goes on where it was interrupted.

Each has a process of its own, which is ended after an hour: what takes so long is said to, and holds nobody up.
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.kept import identity
from bench.measure import RESULTS, insert, table, threads, write

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]  # the tiny models are those of the tests
PAGE = ROOT / "docs" / "vlm_models.md"
SIZES = [[(60, 90)], [(90, 50), (40, 60)]]
LONG = [(64, 2000), (3000, 40), (8, 200), (1, 1)]
ALIKE = 1e-4
"""By how much the states of a prompt in a padded batch may differ from those of it alone."""
MINUTES = 60
QUICK = ["qwen2_vl", "llava", "idefics2"]


def families() -> list[str]:
    """The model types that transformers lists as taking pictures and text, and Phi-4 multimodal."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as NAMES

    return [*NAMES, "phi4_multimodal"]


def examine(name: str, make: Any) -> dict[str, Any]:
    """What becomes of a family: how its layout is known, how exactly, what the changed pixels say, which methods work."""
    import numpy as np

    from isotherm.errors import IsothermError
    from isotherm.models.transformers.vlm.layouts.measured import MeasuredLayout
    from isotherm.models.transformers.vlm.open import vlm_view
    from isotherm.vlm.choose import answer_methods
    from isotherm.vlm.explain import explain_answer
    from isotherm.vlm.scores import Answer
    from rigs.vlm_black_box import black_box, covered_box

    try:
        view = vlm_view(*make())
    except IsothermError as error:
        return {"layout": "refused", "why": str(error)}
    picture = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
    works, refused, judged = [], {}, 0
    for method, formula in answer_methods().items():
        try:
            maps = explain_answer(view, [picture], "how many red ?", score=Answer("two red"), methods=[formula])
            judged += len(maps.trust_lines)
            works.append(method)
        except IsothermError as error:
            refused[method] = str(error)
        except Exception as error:  # a fault of ours, which the table shows
            refused[method] = _fault(error)
    common = {"methods": works, "refused": refused, "judged": judged}
    if view.placeless:
        return common | {"layout": "no place", "why": view.placeless, "hit": covered_box(view), "tried": 4}
    verdicts = [black_box(view, sizes) for sizes in _taken(view)]
    prompt = view.ask([picture], "how many red ?")
    long = {}
    for size in LONG:
        try:
            view.embed(view.ask([np.zeros((*size, 3), np.uint8)], "how many red ?"))
        except Exception as error:
            long["x".join(map(str, size))] = f"{size[1]} x {size[0]} pixels: {_fault(error)}"
    off = prompt.pictures[0].off
    return (
        common
        | {
            "layout": "measured" if isinstance(view.layout, MeasuredLayout) else "exact",
            "kind": type(view.layout).__name__,
            "error_px": None if off is None else list(off),
            "right": all(v.right for v in verdicts),
            "hit": sum(v.hit for v in verdicts),
            "tried": sum(v.tried for v in verdicts),
            "near": min(v.near for v in verdicts),
            "long": long,
        }
        | together(view)
    )


def together(view: Any) -> dict[str, Any]:
    """On which sides padded batches of prompts have the states of each alone, what a video comes to, and why not."""
    from rigs.vlm_batches import batch_apart
    from rigs.vlm_videos import video_box

    batches, whys = [], {}
    for side in ("left", "right"):
        try:
            apart = batch_apart(view, SIZES[0][0], side)
            if apart < ALIKE:
                batches.append(side)
            else:
                whys[side] = f"states in batches padded on the {side} differ by {apart:.2g}"
        except Exception as error:
            whys[side] = f"batches: {_fault(error)}"
    try:
        verdict = video_box(view, SIZES[0][0])
        wrong = "" if verdict.right else ", wrong"
        video = f"{verdict.hit} of {verdict.tried} in {verdict.moments} moments{wrong}"
    except Exception as error:
        video = ""
        if "takes no videos" not in str(error):
            whys["video"] = f"videos: {_fault(error)}"
    return {"batches": batches, "video": video, "apart": whys}


def _taken(view: Any) -> list[list[tuple[int, int]]]:
    """The sizes of pictures of some prompts; where one picture is a prompt's most, of as many prompts."""
    import numpy as np

    from isotherm.errors import AdapterError

    try:
        view.ask([np.zeros((*size, 3), np.uint8) for size in SIZES[1]], "?")
    except AdapterError:
        return [sizes[:1] for sizes in SIZES]
    return SIZES


def _fault(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"


def row(name: str, one: dict[str, Any]) -> list[str]:
    """Of the table."""
    if one["layout"] == "refused":
        return [f"`{name}`", one["layout"], "", "", "", "", one["why"].replace("|", "/")]
    hit = f"{one['hit']} of {one['tried']}"
    if one["layout"] == "no place":
        why = one["why"].partition("measured: ")[2].rstrip(")") or one["why"]
        others = {
            method: text for method, text in one["refused"].items() if "not known to stand for places" not in text
        }
        return [
            f"`{name}`",
            "no place",
            f"{hit} covered",
            methods_of(one["methods"]),
            "",
            "",
            "; ".join([why, *others.values()]),
        ]
    off = one["error_px"]
    layout = "exact" if off is None else f"measured, {off[0]:.1f} px ({off[1]:.1f} at most)"
    methods = "all" if not one["refused"] else f"all but {methods_of(one['refused'])}"
    why = "; ".join(dict.fromkeys([*one["refused"].values(), *one["long"].values(), *one["apart"].values()])).replace(
        "|", "/"
    )
    batches = "both sides" if len(one["batches"]) == 2 else "".join(one["batches"])
    return [f"`{name}`", layout, hit + ("" if one["right"] else ", wrong"), methods, batches, one["video"], why]


def methods_of(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def alone(name: str) -> dict[str, Any]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "bench.vlm_families", name]
    try:
        end = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=MINUTES * 60, check=False)
    except subprocess.TimeoutExpired:
        return {"layout": "refused", "why": f"its tiny model was not through after {MINUTES} minutes"}
    if end.returncode:  # a family that stumbles must not hide the others
        return {
            "layout": "refused",
            "why": f"it ended with {(end.stderr.strip().splitlines() or ['no message'])[-1][:200]}",
        }
    return json.loads(end.stdout.splitlines()[-1])


def main(quick: bool = False) -> None:
    from rigs.vlm_kin import EVERY

    fpath = RESULTS / "vlm_families.json"
    kept = json.loads(fpath.read_text()) if fpath.exists() and not quick else {}
    settings = identity({"sizes": SIZES, "long": LONG, "transformers": version("transformers")})
    done = kept.get("families", {}) if kept.get("settings") == settings else {}
    for name in QUICK if quick else EVERY:
        if name in done:
            continue
        done[name] = alone(name)
        print(name, done[name]["layout"], done[name].get("why", "")[:100], flush=True)
        write("vlm_families", {"settings": settings, "families": done}, quick=quick)
    every = [*dict.fromkeys([*(n for n in families() if n in done), *done])]
    missing = [n for n in families() if n not in done]
    rows = [row(name, done[name]) for name in every]
    columns = [
        "family",
        "layout",
        "changed pixels move the right token",
        "methods",
        "batches",
        "videos",
        "what does not work, and why",
    ]
    counts = {
        kind: sum(done[n]["layout"] == kind for n in every) for kind in ("exact", "measured", "no place", "refused")
    }
    text = table(", ".join(f"{count} {kind}" for kind, count in counts.items()), columns, rows)
    if missing:
        text += f"\nOf the {len(families())} that transformers lists, these are not in the table yet; whether they open is not known: {', '.join(f'`{n}`' for n in missing)}.\n"
    print(text)
    if not quick:
        insert(PAGE, "vlm families", text)


def one(name: str) -> None:
    from rigs.vlm_kin import EVERY

    threads(1)
    warnings.simplefilter("ignore")
    print(json.dumps(examine(name, EVERY[name])))


if __name__ == "__main__":
    one(sys.argv[1]) if len(sys.argv) > 1 else main()
