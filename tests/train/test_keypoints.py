"""Training: it learns, it goes on bit by bit after being killed, it says when it has collapsed."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from isotherm.data.keypoint_augment import Augmentation
from isotherm.data.keypoint_cache import cache_keypoints
from isotherm.data.keypoints import KeypointSet
from isotherm.errors import OptionError, WeightsError
from isotherm.frame import Frame
from isotherm.heads import DeconvHead
from isotherm.models.backbone import ConvBackbone, ConvBackboneConfig
from isotherm.points import Points, State
from isotherm.train.collapse import CollapseWatch
from isotherm.train.keypoint_model import KeypointModel, Objective
from isotherm.train.keypoints import make_batch, recipe_of, train_keypoints
from isotherm.train.loop import CollapsedError, DivergedError, rows_of
from isotherm.train.run_folder import RunFolder
from rigs.breadth import wide
from rigs.dots import CONFIG, dots, model


def error(trained, data, config):
    """Mean distance in source pixels of all labelled points, without augmentation."""
    plain = replace(config, augmentation=Augmentation())
    batch = make_batch(
        data,
        torch.arange(len(data)),
        torch.zeros(len(data), dtype=torch.long),
        plain,
        swaps=(),
        device=torch.device("cpu"),
    )
    with torch.no_grad():
        found = config.objective.decode(trained(batch.pictures), trained.output_frame(batch.frame))
    known = batch.points.state == int(State.LABELLED)
    return float((found.xy - batch.points.xy)[known].norm(dim=-1).mean())


# the smoke run of tests/train/test_beetle_specification.py learns by the other loss
@pytest.mark.parametrize("loss", ["cross_entropy", *wide(["mse"])])
def test_it_learns(loss, tmp_path):
    config = replace(CONFIG, steps=160, objective=Objective(loss=loss, sigma=1.0, first_sigma=2.0))
    kind, held_out = dots(120), dots(40, seed=1)
    data, other = (
        cache_keypoints(kind, tmp_path / "cache", side=40),
        cache_keypoints(held_out, tmp_path / "cache", side=40),
    )
    trained = train_keypoints(config, model(), data, kind, RunFolder(tmp_path / "run", recipe_of(config)))
    assert error(trained, other, config) < 1.0  # of 40 pixels; untrained it is above 10
    assert error(model(), other, config) > 5
    figures = RunFolder(tmp_path / "run", recipe_of(config)).figures()
    assert figures[-1]["step"] == 160
    assert figures[-1]["loss"] < figures[0]["loss"]
    assert 0.7 < figures[-1]["labelled"] <= 1


def bits(trained):
    return {name: value.numpy().tobytes() for name, value in trained.state_dict().items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing interrupts: its bits, its folder, and the pictures that it learnt from."""
    folder, kind = tmp_path_factory.mktemp("whole"), dots(30)
    data = cache_keypoints(kind, folder / "cache", side=40)
    torch.manual_seed(0)
    trained = train_keypoints(CONFIG, model(), data, kind, RunFolder(folder / "run", recipe_of(CONFIG)))
    return bits(trained), folder / "run", (kind, data)


def test_a_run_in_pieces_ends_in_the_same_bits(whole, tmp_path):
    whole_bits, whole_run, (kind, data) = whole
    for stop in (20, 40):

        def cut(averaged, step, stop=stop):
            if step == stop + 20:  # killed before this checkpoint is kept
                raise KeyboardInterrupt
            return {}

        with pytest.raises(KeyboardInterrupt):
            train_keypoints(CONFIG, model(), data, kind, RunFolder(tmp_path / "cut", recipe_of(CONFIG)), validate=cut)
    again = train_keypoints(CONFIG, model(seed=9), data, kind, RunFolder(tmp_path / "cut", recipe_of(CONFIG)))
    assert bits(again) == whole_bits
    rows = [
        {k: v for k, v in row.items() if k != "validation"}
        for row in RunFolder(tmp_path / "cut", recipe_of(CONFIG)).figures()
    ]
    steps = [row["step"] for row in rows if "loss" in row]
    assert steps == [10, 20, 30, 40, 50, 60]
    whole_rows = RunFolder(whole_run, recipe_of(CONFIG)).figures()
    assert [row["loss"] for row in rows if "loss" in row] == [row["loss"] for row in whole_rows if "loss" in row]


KILLED = """
import sys
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
from isotherm.data.keypoint_cache import cache_keypoints
from isotherm.train.keypoints import recipe_of, train_keypoints
from isotherm.train.run_folder import RunFolder
from rigs.dots import CONFIG, dots, model
from dataclasses import replace
kind = dots(30)
config = replace(CONFIG, keep_every=5)
train_keypoints(config, model(), cache_keypoints(kind, {cache!r}, side=40), kind, RunFolder({run!r}, recipe_of(config)))
"""


def test_killed_without_warning_it_goes_on(whole, tmp_path, programs):
    """SIGKILL in the middle of the run; the end is that of a run that was left alone, which kept its state less often."""
    _, whole_run, (kind, data) = whole
    config, run = replace(CONFIG, keep_every=5), tmp_path / "run"
    script = KILLED.format(tests=str(Path(__file__).parents[1]), cache=str(tmp_path / "cache"), run=str(run))
    process = programs.start(script, cwd=tmp_path)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.runs() and not (run / "checkpoint.pt").exists():
        time.sleep(0.02)
    ended = process.kill()
    assert ended.returncode == -signal.SIGKILL, ended
    assert torch.load(run / "checkpoint.pt", weights_only=True)["step"] < 60
    lines = []
    train_keypoints(config, model(seed=9), data, kind, RunFolder(run, recipe_of(config)), say=lines.append)
    assert any("going on from step" in str(line) for line in lines)
    states = [torch.load(dpath / "checkpoint.pt", weights_only=True) for dpath in (run, whole_run)]
    assert states[0]["step"] == states[1]["step"] == 60
    assert all(torch.equal(a, b) for a, b in zip(states[0]["model"].values(), states[1]["model"].values(), strict=True))


def test_every_epoch_shows_every_picture_once():
    rows = [rows_of(step, 8, 20, seed=3) for step in range(5)]
    index, epoch = torch.cat([r[0] for r in rows]), torch.cat([r[1] for r in rows])
    for e in range(2):
        assert sorted(index[epoch == e].tolist()) == list(range(20))
    assert not torch.equal(index[:20], index[20:])


def test_accumulating_gives_the_same_loss_and_gradient(tmp_path):
    """Also where labels fall unevenly into the parts: the mean is over what is labelled in the batch."""
    kind = dots(16)
    data = cache_keypoints(kind, tmp_path / "cache", side=40)
    config = replace(CONFIG, steps=1, average=None, clip=None, log_every=1)
    rows = []
    for accumulate in (1, 4):
        folder = RunFolder(tmp_path / f"in {accumulate}", {})
        train_keypoints(replace(config, accumulate=accumulate), model(), data, kind, folder)
        rows.append(folder.figures()[0])
    assert rows[0]["labelled"] < 1
    assert rows[0]["loss"] == pytest.approx(rows[1]["loss"], rel=1e-5)
    assert rows[0]["gradient"] == pytest.approx(rows[1]["gradient"], rel=1e-4)


@pytest.mark.parametrize("options", [{"precision": "bfloat16"}, {"precision": "float16"}], ids=["bfloat16", "float16"])
def test_other_precisions_train_alike(options, tmp_path):
    """The loss is summed in float32 whatever the forward pass has; the first steps agree as far as the precision allows."""
    kind = dots(16)
    data = cache_keypoints(kind, tmp_path / "cache", side=40)
    config = replace(CONFIG, steps=4, average=None, log_every=1, keep_every=4)
    losses = []
    for i, changed in enumerate((config, replace(config, **options))):
        folder = RunFolder(tmp_path / str(i), {})
        trained = train_keypoints(changed, model(), data, kind, folder)
        losses.append([row["loss"] for row in folder.figures()])
        assert all(p.dtype == torch.float32 for p in trained.parameters())
    assert losses[0] == pytest.approx(losses[1], rel=5e-3)
    assert losses[0] != losses[1]


COMPILED = """
import sys
sys.path.insert(0, {tests!r})
import torch
from dataclasses import replace
from functools import partial
torch.compile = partial(torch.compile, backend="aot_eager")  # graphs and gradients as by default, without C++ written for them
from isotherm.data.keypoint_cache import cache_keypoints
from isotherm.train.keypoints import train_keypoints
from isotherm.train.run_folder import RunFolder
from rigs.dots import CONFIG, dots, model
kind = dots(16)
data = cache_keypoints(kind, {cache!r}, side=40)
for compiled in (False, True):
    folder = RunFolder({run!r} + str(compiled), {{}})
    train_keypoints(replace(CONFIG, steps=4, average=None, log_every=1, keep_every=4, compiled=compiled), model(widths=(8,)), data, kind, folder)
    print(*[row["loss"] for row in folder.figures()], torch._dynamo.utils.counters["stats"]["unique_graphs"])
"""


def test_compiled_steps_train_alike(tmp_path, unchecked_process):
    """In another process: the checker of shapes, which the tests have on, is not compiled."""
    code = COMPILED.format(
        tests=str(Path(__file__).parents[1]), cache=str(tmp_path / "cache"), run=str(tmp_path / "run")
    )
    eager, compiled = ([float(v) for v in line.split()] for line in unchecked_process.run(code).splitlines())
    assert eager[-1] == 0
    assert compiled[-1] >= 1
    assert compiled[:-1] == pytest.approx(eager[:-1], rel=1e-4)


def test_a_loss_that_is_no_number_stops_before_the_weights_are_touched(tmp_path):
    kind = dots(10)
    broken = model()
    with torch.no_grad():
        broken.head.final.bias[0] = torch.nan
    before = bits(broken)
    with pytest.raises(DivergedError, match=r"the loss is nan at step 1; lower the rate"):
        train_keypoints(
            CONFIG, broken, cache_keypoints(kind, tmp_path / "cache", side=40), kind, RunFolder(tmp_path / "run", {})
        )
    assert bits(broken) == before
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_patience_ends_a_run_that_stands_still_and_it_stays_ended(tmp_path):
    kind = dots(10)
    data, config = (
        cache_keypoints(kind, tmp_path / "cache", side=40),
        replace(CONFIG, steps=60, keep_every=5, patience=2),
    )
    said, errors = [], iter([3.0, 2.0, 2.5, 2.0, 1.0])
    train_keypoints(
        config,
        model(),
        data,
        kind,
        RunFolder(tmp_path / "run", {}),
        validate=lambda averaged, step: {"error": next(errors)},
        say=said.append,
    )
    assert said[-1] == "no improvement in 2 validations: stopped at step 20 of 60"
    train_keypoints(
        config,
        model(),
        data,
        kind,
        RunFolder(tmp_path / "run", {}),
        validate=lambda averaged, step: {"error": next(errors)},
    )
    assert next(errors) == 1.0  # nothing was trained or validated again


def test_a_frozen_backbone_stays_as_it_is(tmp_path):
    kind = dots(10)
    torch.manual_seed(0)
    backbone = ConvBackbone(ConvBackboneConfig(widths=(16, 32), depth=1))
    before = bits(backbone)
    frozen = KeypointModel(backbone, DeconvHead(32, 2, widths=(16,), groups=8), frozen=True)
    config = replace(CONFIG, steps=5, backbone_rate=0.0, keep_every=5)
    train_keypoints(
        config, frozen, cache_keypoints(kind, tmp_path / "cache", side=40), kind, RunFolder(tmp_path / "run", {})
    )
    assert bits(backbone) == before
    kept = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert not [name for name in kept["model"] if name.startswith("backbone.stages")]
    assert not frozen.train().backbone.training


@pytest.mark.usefixtures(
    "unchecked"
)  # the other tests check these shapes; hundreds of times they take most of the time
def test_a_collapse_is_named_and_stopped(tmp_path):
    kind = dots(4)
    dead = model(widths=(8, 8))
    torch.nn.init.zeros_(dead.head.final.weight)
    config = replace(
        CONFIG,
        **{"steps": 1000, "keep_every": 1000, "batch": 2, "size": (16, 16)},
        **{"rate": 1e-12, "decay": 0.0, "stop_collapsed": True, "average": None},
    )
    said = []
    with pytest.raises(CollapsedError, match=r"the run has collapsed: for 200 steps.*ln 16 = 2.7726"):
        train_keypoints(
            config,
            dead,
            cache_keypoints(kind, tmp_path / "cache", side=40),
            kind,
            RunFolder(tmp_path / "run", {}),
            say=said.append,
        )
    assert any("collapsed" in str(line) for line in said)
    assert RunFolder(tmp_path / "run", {}).figures()[-1]["step"] < 410  # within a thousand steps


def test_a_model_that_has_learnt_is_not_called_collapsed():
    watch = CollapseWatch("logits", (32, 32), patience=3, after=0)
    cells = torch.arange(32) + 0.5
    maps = -((cells - 9.3) ** 2)[None, None, None] / 8 - ((cells - 20) ** 2)[None, None, :, None] / 8
    for step in range(5):
        figures = watch.look(maps, step=step)
    assert figures["uniform"] == 0
    assert not watch.alarmed
    peaks = CollapseWatch("peak", (32, 32), patience=3, after=0)
    for step in range(5):
        peaks.look(maps.exp(), step=step)
    assert not peaks.alarmed
    for step in range(3):
        peaks.look(torch.zeros(1, 1, 8, 8), step=step)
    assert peaks.alarmed
    again = CollapseWatch("peak", (32, 32), patience=3, after=0)
    again.load_state_dict(peaks.state_dict())
    assert again.alarmed
    again.look(maps.exp(), step=5)
    assert not again.alarmed


def test_another_recipe_is_refused_and_nothing_is_lost(tmp_path):
    RunFolder(tmp_path, recipe_of(CONFIG)).log({"step": 1, "loss": 0.5})
    with pytest.raises(OptionError, match="differ in training"):
        RunFolder(tmp_path, recipe_of(replace(CONFIG, rate=1.0)))
    assert RunFolder(tmp_path, recipe_of(CONFIG)).figures() == [{"step": 1, "loss": 0.5}]


def test_figures_with_new_columns_and_a_line_cut_short(tmp_path):
    folder = RunFolder(tmp_path, {})
    folder.log({"step": 1, "loss": 0.1 + 0.2})
    folder.log({"step": 2, "loss": 1.0, "error": 3.5})
    folder.log({"step": 3, "loss": 2.0})
    assert folder.figures()[0] == {"step": 1, "loss": 0.1 + 0.2}
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("4,0.")
    folder.forget_after(2)
    assert folder.figures() == [{"step": 1, "loss": 0.1 + 0.2}, {"step": 2, "loss": 1.0, "error": 3.5}]


def test_a_damaged_checkpoint_is_named_and_left(tmp_path):
    folder = RunFolder(tmp_path, {})
    folder.checkpoint.write_bytes(b"PK nothing")
    with pytest.raises(WeightsError, match=r"checkpoint\.pt cannot be read"):
        folder.kept()
    assert folder.checkpoint.read_bytes() == b"PK nothing"


def test_the_auxiliary_loss_pulls_places_to_their_points():
    maps = torch.zeros(1, 1, 16, 16, requires_grad=True)
    points = Points(torch.tensor([[[12.0, 4.0]]]))
    plain = Objective(sigma=1.0)
    pulled = Objective(sigma=1.0, coordinates=1.0)
    frame = Frame.identity((16, 16))
    one = plain.loss_of(maps, points, frame, done=0.0, exchangeable=())
    two = pulled.loss_of(maps, points, frame, done=0.0, exchangeable=())
    assert (two - one).item() == pytest.approx(((12 - 8) ** 2 + (4 - 8) ** 2) ** 0.5, rel=1e-3)
    (two - one).backward()
    assert maps.grad[0, 0, 4, 12] < 0 < maps.grad[0, 0, 12, 4]


def test_bad_recipes():
    for options, says in [
        ({"steps": 0}, "steps is 0"),
        ({"batch": 10, "accumulate": 3}, "multiple of its parts"),
        ({"clip": 0.0}, "clip is 0"),
    ]:
        with pytest.raises(OptionError, match=says):
            replace(CONFIG, **options)
    for options, says in [({"sigma": 0.0}, "sigma is 0"), ({"coordinates": 1.0, "loss": "mse"}, "and 0 with 'mse'")]:
        with pytest.raises(OptionError, match=says):
            Objective(**options)


def test_nothing_to_train_on(tmp_path):
    kind = KeypointSet(records=[], names=("red", "green"))
    with pytest.raises(OptionError, match="no pictures to train on"):
        train_keypoints(
            CONFIG, model(), cache_keypoints(kind, tmp_path / "cache", side=40), kind, RunFolder(tmp_path / "run", {})
        )


def test_a_folder_with_other_things_in_it_is_refused_and_left(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(OptionError, match=r"holds other files \(mine\.txt\) and no run"):
        RunFolder(tmp_path, {})
    assert [f.name for f in tmp_path.iterdir()] == ["mine.txt"]
