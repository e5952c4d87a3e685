"""Scene classifiers that pad as TensorFlow does, trained for ``bench/places.py``: zeros on the right and below alone.

A 3x3 convolution of stride 2 that pads so is centred one cell further to the right and further down than one that pads
on both sides, and a training may put that right or not. The classifiers that ship pad on both sides.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import nn

from bench.kept import identity
from isotherm.data.scenes import CLASSES
from isotherm.train.loop import run_loop
from isotherm.train.run_folder import RunFolder
from isotherm.train.schedule import Schedule
from isotherm.zoo.scenes.network import SceneNet, SceneNetConfig
from isotherm.zoo.scenes.training import SceneTask, SceneTraining, draw_lessons

WORK = Path(__file__).parent / ".work" / "places"
TRAINING = SceneTraining(
    steps=600,
    close_up_steps=450,
    close_ups=3000,
    scenes=1500,
    batch=32,
    schedule=Schedule(warm_up=60),
    precision="float32",
    keep_every=100,
)
NETWORK = SceneNetConfig(names=CLASSES)


def pad_as_tensorflow(model: nn.Module) -> nn.Module:
    """The same network with the padding of every 3x3 convolution of stride 2 on the right and below alone."""
    for module in list(model.modules()):
        for name, inner in module.named_children():
            if isinstance(inner, nn.Conv2d) and inner.stride == (2, 2) and inner.padding == (1, 1):
                inner.padding = (0, 0)
                setattr(module, name, nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), inner))
    return model


def trained(seed: int, training: SceneTraining = TRAINING, network: SceneNetConfig = NETWORK) -> SceneNet:
    """The classifier of a seed, trained or gone on with where it was stopped, in evaluation mode."""
    config = replace(training, seed=seed)
    settings = {"training": asdict(config), "network": asdict(network)}
    folder = RunFolder(WORK / f"same-{seed}-{identity(settings)}", settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = pad_as_tensorflow(SceneNet(network))
    assert isinstance(model, SceneNet)
    done = folder.dpath / "weights.pt"
    if done.exists():
        model.load_state_dict(torch.load(done, weights_only=True))
        return model.eval()
    model = run_loop(
        config, SceneTask(config, model, draw_lessons(config, network)), folder, say=lambda p: print(p, flush=True)
    )
    assert isinstance(model, SceneNet)
    torch.save(model.state_dict(), done)
    return model.eval()
