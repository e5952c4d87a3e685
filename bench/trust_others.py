"""Maps of a detector, of answers and of photographs for ``bench/trust.py``, as those of scenes are in ``trust_maps.py``."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from bench.trust_maps import OFTEN, RIGHT, WRONG, Trial, _targets, altered, judged
from bench.trust_models import detector
from bench.vlm import auc, questions, squared

ANSWERS = ("propagation", "attention_gradient")
PHOTOGRAPHS = {
    "skimage": ("chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png", "motorcycle_left.png"),
    "sklearn": ("china.jpg", "flower.jpg"),
    "ultralytics": ("bus.jpg", "zidane.jpg"),
}
"""In wheels of other packages."""
FOLDERS = {"skimage": "data", "sklearn": "datasets/images", "ultralytics": "assets"}


def boxes(seed: int, count: int) -> Iterator[Trial]:
    """Of the detector of a training seed: its class in its boxes."""
    from isotherm.cam import methods
    from isotherm.cam.attribute import attribute, attribute_again
    from isotherm.cam.scores import Detection
    from isotherm.cam.trace import LayerMap
    from isotherm.data.scenes import held_out_scenes
    from isotherm.metrics.randomisation import randomised
    from isotherm.ops.resample import to_source
    from isotherm.zoo.detector.view import load

    view = load(weights=detector(seed))
    for number, scene in enumerate(islice(held_out_scenes(count), count)):
        inputs, rng = view.prepare([scene.picture]), np.random.default_rng(number)
        try:
            done = attribute(view, inputs, methods=[getattr(methods, n) for n in OFTEN], score=Detection())
        except Exception:  # it finds nothing
            continue
        present = [int(k) for k in scene.labels]
        for i in range(len(done.targets)):
            target = done.targets.take(torch.tensor([i]))
            assert target.which is not None
            if int(target.which[0]) not in present:
                continue
            evidence = torch.from_numpy(scene.masks[present.index(int(target.which[0]))]).flatten()
            made = {f"{n}, as it is": m.values[i].float() for n, m in zip(OFTEN, done.maps, strict=True)}
            made |= altered(made["layercam, as it is"], rng)
            made |= {"map of another box": done.maps[1].values[i - 1].float()} if len(done.targets) > 1 else {}
            frame = done.maps[0].frame[i : i + 1]
            for kind, values in made.items():
                lies = auc(to_source(values[None], frame)[0].flatten(), evidence)
                if lies >= RIGHT or lies <= WRONG:
                    shown = LayerMap("map", values[None], frame)
                    yield Trial(kind, lies >= RIGHT, *judged(view, inputs, target, shown))
            for part, words in ((1.0, "all weights random"), (0.25, "last stages random")):
                row = inputs.take(target.picture)
                with randomised(view.model, part, seed=seed * 1000 + number, calibrate=lambda i=inputs: view.run(i)):
                    for name in OFTEN:
                        (m,), _ = attribute_again(view, row, target, methods=[getattr(methods, name)])
                        anew = replace(target, among=None)  # what it says of the whole picture now is other
                        yield Trial(f"{name}, {words}", False, *judged(view, inputs, anew, m))


def answers(seed: int, count: int) -> Iterator[Trial]:
    """Of the vision-language model of a training seed: how many there are, and where."""
    from isotherm.metrics.randomisation import randomised
    from isotherm.metrics.trust import Trust
    from isotherm.relevance.judge import go_on
    from isotherm.vlm.choose import answer_methods
    from isotherm.vlm.fine_cells import fine_cells
    from isotherm.vlm.gain import answer_gain
    from isotherm.vlm.guards import guarded
    from isotherm.vlm.question import Question
    from isotherm.vlm.scores import Answer
    from isotherm.vlm.trace import record
    from isotherm.zoo.tiny_vlm.view import load

    view = load(f"tiny-vlm-{seed}")
    methods = [answer_methods()[name] for name in ANSWERS]

    def values_of(question: Any, target: Any) -> list[Any]:
        return [guarded(m, record(question, [target], m.needs))[0][0].detach().float().cpu() for m in methods]

    def trial(kind: str, rests: bool, trace: Any, values: Any) -> Trial:
        prompt = trace.question.prompt
        places = prompt.pictures if len(values) == len(prompt.positions) else fine_cells(prompt)
        gain = answer_gain(trace, values, places, seed=0, pause=go_on)
        assert gain is not None
        verdict = Trust(gain=gain, evidence=bool((values > 0).any())).verdict
        return Trial(kind, rests, gain.value, verdict)

    for number, q in enumerate([*questions("count", count), *questions("where", count)]):
        question, rng = Question.of(view, view.ask([q.picture], q.question)), np.random.default_rng(number)
        (target,) = Answer()(question)
        (trace,) = record(question, [target], frozenset())
        made = dict(zip((f"{name}, as it is" for name in ANSWERS), values_of(question, target), strict=True))
        made |= {k: v.flatten() for k, v in altered(squared(made["propagation, as it is"]), rng).items()}
        made["random cells"] = torch.from_numpy(rng.random(36)).float()
        for kind, values in made.items():
            pixels = F.interpolate(squared(values)[None, None], (48, 48), mode="bilinear", align_corners=False)
            lies = auc(pixels.flatten(), torch.from_numpy(q.evidence).flatten())
            if lies >= RIGHT or lies <= WRONG:
                yield trial(kind, lies >= RIGHT, trace, values)
        for part, words in ((1.0, "all weights random"), (0.25, "last stages random")):
            with randomised(view.model, part, seed=number):
                other = Question.of(view, question.prompt)
                (its,) = record(other, [target], frozenset())
                for name, values in zip(ANSWERS, values_of(other, target), strict=True):
                    yield trial(f"{name}, {words}", False, its, values)


def photographs(seed: int) -> Iterator[Trial]:
    """Of EfficientNet-Lite0 with ImageNet weights on photographs and their parts, and of its randomised copies."""
    from isotherm import open_model
    from isotherm.metrics.randomisation import randomised

    view = open_model("imagenet")
    for number, picture in enumerate(_parts()):
        inputs = view.prepare([picture])

        def likeliest(inputs: Any = inputs) -> int:
            with torch.no_grad():
                return int(view.run(inputs).logits[0].argmax())

        if seed == 0:
            done = _targets(view, inputs, (likeliest(),), OFTEN)
            for name, m in zip(OFTEN, done.maps, strict=True):
                yield Trial(f"{name}, as it is", True, *judged(view, inputs, done.targets, m))
        for part, words in ((1.0, "all weights random"), (0.25, "last stages random")):
            with randomised(view.model, part, seed=seed * 1000 + number, calibrate=lambda i=inputs: view.run(i)):
                for name in OFTEN:
                    done = _targets(view, inputs, (likeliest(),), (name,))
                    yield Trial(f"{name}, {words}", False, *judged(view, inputs, done.targets, done.maps[0]))


def _parts() -> Iterator[Any]:
    """Each photograph, and squares at both of its ends."""
    from isotherm.data.pictures import read_picture

    for package, names in PHOTOGRAPHS.items():
        found = importlib.util.find_spec(package)
        assert found is not None, f"pip install {package}: photographs are taken from its wheel"
        assert found.origin is not None
        for name in names:
            picture = read_picture(Path(found.origin).parent / FOLDERS[package] / name).array
            h, w = picture.shape[:2]
            side = min(h, w)
            yield picture
            yield np.ascontiguousarray(picture[:side, :side])
            yield np.ascontiguousarray(picture[h - side :, w - side :])
