"""The six pictures of the demonstration."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from isotherm.data.tabletop import BOUNDS, Tabletop, TableView, make_tabletop
from isotherm.decode import lift_orthographic
from isotherm.draw.figures import curve_figure
from isotherm.heads import ConvexUpsample
from isotherm.ops.convex_upsample import convex_upsample
from isotherm.systems.bridgevla.animation import new_folder
from isotherm.systems.bridgevla.demo.stand_in import GRID, HELD_OUT_SEED, SIDE, SIGMA, VIEWS, Trained, train
from isotherm.systems.bridgevla.figures.boxes import visualize_bboxes_and_heatmap
from isotherm.systems.bridgevla.figures.points import visualize_points_and_heatmap
from isotherm.systems.bridgevla.figures.sheet import Marks, Panel, map_panel, overlay_panel, sheet
from isotherm.systems.bridgevla.reading import shown_heatmap, shown_picture
from isotherm.systems.bridgevla.targets import (
    create_multi_scale_heatmap,
    generate_hm_from_pt,
    generate_target_heatmap_from_annotation,
)
from isotherm.targets import gaussian

trained: Callable[..., Trained] = cache(train)
"""Trained once, for all pictures that need it."""
LARGE = 224
STEPS = 120


@cache
def _table() -> Tabletop:
    """A table that no training sees, from the left and the right."""
    return make_tabletop(HELD_OUT_SEED, size=LARGE, views=("left", "right"))


def basic_heatmaps(fpath: Path) -> None:
    """Gaussians of points: narrow and wide, one for each, fused into one, at several widths."""
    table = _table()
    picture = shown_picture(table.views["left"].picture)
    places = [table.points(i)["left"] for i in table.instructions if i.kind == "pick"]
    points = torch.tensor(places[:3]) - 0.5  # these functions count from the centre of the first cell
    text = str([[round(x / LARGE, 4), round(y / LARGE, 4)] for x, y in places])
    one = [generate_hm_from_pt(points[:1], LARGE, sigma)[0] for sigma in (4.0, 10.0)]
    widths = create_multi_scale_heatmap(points[:1], LARGE, [3.0, 8.0, 20.0], reduce="mean")
    fused = generate_target_heatmap_from_annotation(text, "grasp_point", LARGE, 6.0)
    border = generate_hm_from_pt([[-6.0, 112.0]], LARGE, 8.0)
    panels = [
        (one[0], "one point, sigma 4", "sums to 1"),
        (one[1], "one point, sigma 10", "sums to 1, so it is lower"),
        (widths, "sigma 3, 8 and 20, their mean", "create_multi_scale_heatmap(reduce='mean')"),
        (fused, f"{len(places)} points in one map", "a true mixture: every peak keeps its shape"),
        (border, "a point 6 cells off the frame", "still a target of sum 1, at the border"),
    ]
    drawn = [overlay_panel(shown_heatmap(m, picture), picture, title, note=note) for m, title, note in panels]
    marks = Marks(points=np.array(places) / LARGE * picture.width)
    rows = [[Panel(picture, "the places", marks=marks), *drawn[:2]], drawn[2:]]
    sheet(rows, title="Targets from points", save_path=fpath)


def llm_to_heatmap(fpath: Path, *, steps: int = STEPS, tables: int = 20) -> None:
    """Image tokens of a stand-in language model, before and after training of the head, and the point in space."""
    made = trained(steps, tables=tables, keep=(0, steps // 6, steps))
    prompt = made.prompt
    logits = made.looks[steps]
    lifted = lift_orthographic(logits, bounds=BOUNDS)
    error_mm = 1000 * float((lifted.xyz - torch.tensor(prompt.instruction.point)).norm())
    views = [prompt.table.views[name] for name in VIEWS]
    rings = [place[None].numpy() for place in prompt.places]
    tokens = prompt.states[prompt.image].view(len(VIEWS), GRID, GRID, -1)
    rows = [
        [_token_panel(t, f"{v.name}: {GRID} x {GRID} image tokens") for t, v in zip(tokens, views, strict=True)],
        [
            _logits_panel(m, v, r, "head with random weights")
            for m, v, r in zip(made.looks[0], views, rings, strict=True)
        ],
        [_logits_panel(m, v, r, f"after {steps} steps") for m, v, r in zip(logits, views, rings, strict=True)],
    ]
    title = f"“{prompt.instruction.text}”: lifted from three views to {error_mm:.0f} mm of the truth (rings)"
    sheet(rows, title=title, save_path=fpath)


def training_pipeline(fpath: Path, *, steps: int = STEPS, tables: int = 20) -> None:
    """From an annotation to a target, a loss, and predictions that come to look like it."""
    kept = (0, steps // 6, steps)
    made = trained(steps, tables=tables, keep=kept)
    view, place = made.prompt.table.views["top"], made.prompt.places[0]
    x, y = (place / SIDE).tolist()
    text = f"[{x:.3f}, {y:.3f}]"
    target = generate_target_heatmap_from_annotation(text, "single_point", SIDE, SIGMA)
    picture = shown_picture(view.picture)
    ring = _rings(place[None].numpy(), picture)
    floor = float(-(target * target.clamp(min=1e-30).log()).sum())
    number = list(range(1, steps + 1))
    curve = curve_figure(
        {"loss": (number, made.losses), "entropy of the target, its floor": ([1, steps], [floor, floor])},
        x="step",
        y="cross-entropy in nats",
        size=(4.6, 4.6),
    )
    rows = [
        [
            Panel(picture, f"“{made.prompt.instruction.text}”", f'annotation "{text}", single_point', marks=ring),
            map_panel(shown_heatmap(target, picture), "target", note=f"a Gaussian of {SIGMA:g} cells, sum 1"),
            Panel(curve, "training"),
        ],
        [
            map_panel(
                shown_heatmap(made.looks[step][0].flatten().softmax(0).view(SIDE, SIDE), picture),
                f"prediction after {step} steps",
                note="a table that training never sees",
            )
            for step in kept
        ],
    ]
    sheet(rows, title="From annotation to prediction", save_path=fpath)


def convex_upsampling(fpath: Path, *, steps: int = STEPS, tables: int = 20) -> None:
    """What learned convex weights make of a coarse map, and what happens at its border."""
    made = trained(steps, tables=tables, keep=(0, steps // 6, steps))
    view, place = made.prompt.table.views["top"], made.prompt.places[0]
    picture, head = shown_picture(view.picture), made.converter.up
    features = made.converter.forward_with_features(
        made.prompt.states[None], num_views=len(VIEWS), image_token_mask=made.prompt.image[None]
    )[1][:, 0]
    with torch.no_grad():
        coarse = head.net_out(head.reduce(features))
        fine = head(features)[0, 0]
    bilinear = torch.nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bilinear")[0, 0]
    target = gaussian(place[None], (SIDE, SIDE), sigma_cells=SIGMA, kind="probability").heatmap.values[0]
    maps = [
        (_probability(coarse[0, 0]), f"coarse map, {GRID} x {GRID}"),
        (_probability(bilinear), "the same, interpolated"),
        (_probability(fine), f"convex upsampling, {SIDE} x {SIDE}"),
        (target, "target"),
    ]
    rows = [
        [map_panel(shown_heatmap(m, picture), title, note=_width(m)) for m, title in maps],
        [*_borders(picture), Panel(picture, "the table", marks=_rings(place[None].numpy(), picture))],
    ]
    sheet(rows, title="Convex upsampling: every fine cell is a learned mean of 3 x 3 coarse ones", save_path=fpath)


def point_visualization(fpath: Path) -> None:
    """Places of an instruction with two answers, with their heatmap."""
    table = _table()
    places = [table.points(i)["right"] for i in table.instructions if i.kind == "place"][:4]
    points = [(x / LARGE, y / LARGE) for x, y in places]
    heatmap = create_multi_scale_heatmap(torch.tensor(places) - 0.5, LARGE, [6.0])
    title = "Free places beside the blocks"
    visualize_points_and_heatmap(Image.fromarray(table.views["right"].picture), points, heatmap, fpath, title=title)


def bbox_visualization(fpath: Path) -> None:
    """Boxes of the blocks as they are seen, and the heatmap of their centres."""
    table = _table()
    view = table.views["left"]
    boxes = [box for number in range(len(table.blocks)) if (box := _box(view, number)) is not None]
    heatmap = generate_target_heatmap_from_annotation(str(boxes), "detection_2", LARGE, 7.0)
    colours = [block.colour for number, block in enumerate(table.blocks) if _box(view, number) is not None]
    title = "Boxes, and the mixture of their centres"
    visualize_bboxes_and_heatmap(Image.fromarray(view.picture), boxes, heatmap, fpath, colours, title=title)


MODES: dict[str, dict[str, Callable[..., None]]] = {
    "basic": {"demo_basic_heatmaps.png": basic_heatmaps},
    "llm_to_heatmap": {"demo_llm_to_heatmap.png": llm_to_heatmap},
    "training": {"demo_training_pipeline.png": training_pipeline},
    "upsampling": {"demo_convex_upsampling.png": convex_upsampling},
    "visualization": {
        "demo_point_visualization.png": point_visualization,
        "demo_bbox_visualization.png": bbox_visualization,
    },
}
"""Of each mode, the files and what draws them."""


def write_pictures(mode: str, output_dir: str | os.PathLike[str]) -> list[Path]:
    """Write the pictures of a mode, or of all.

    Args:
        mode: a key of :data:`MODES`, or "all".
        output_dir: is made where it is not there.

    Raises:
        InputError: a folder that cannot be made.
    """
    folder = new_folder(output_dir)
    chosen = MODES if mode == "all" else {mode: MODES[mode]}
    written = []
    for files in chosen.values():
        for name, draw in files.items():
            draw(folder / name)
            written.append(folder / name)
    return written


def _probability(logits: Tensor) -> Tensor:
    return logits.flatten().softmax(0).view_as(logits)


def _width(probability: Tensor) -> str:
    """How many cells of the fine map half of the probability takes."""
    ordered = probability.flatten().sort(descending=True).values
    cells = int((ordered.cumsum(0) < 0.5).sum() + 1) * SIDE**2 // probability.numel()
    return f"half of the probability in {cells} of {SIDE**2} cells"


def _borders(picture: Image.Image) -> list[Panel]:
    """A coarse map that is -5 everywhere, upsampled both ways."""
    panels = []
    for padding, words in (
        ("zeros", "published: logits of 0 beyond the border"),
        ("renorm", "here: nothing beyond it"),
    ):
        flat = torch.full((1, 1, GRID, GRID), -5.0)
        head = ConvexUpsample(4, 1, ratio=SIDE // GRID)
        mask = torch.zeros(1, (3 * head.ratio) ** 2, GRID, GRID)
        fine = convex_upsample(flat, mask, ratio=head.ratio, padding="zeros" if padding == "zeros" else "renorm")
        probability = _probability(fine[0, 0])
        inner = probability[head.ratio : -head.ratio, head.ratio : -head.ratio].sum()
        note = f"{100 * (1 - float(inner)):.0f} % of the probability along the border"
        panels.append(map_panel(shown_heatmap(probability, picture), words, note=note))
    return panels


def _token_panel(tokens: Tensor, title: str) -> Panel:
    """Tokens by their three strongest directions, as colours."""
    flat = tokens.flatten(0, 1)
    flat = flat - flat.mean(0)
    axes = torch.linalg.svd(flat, full_matrices=False)[2][:3]
    colours = flat @ axes.T
    colours = (colours - colours.amin(0)) / (colours.amax(0) - colours.amin(0)).clamp(min=1e-6)
    image = Image.fromarray((255 * colours.view(*tokens.shape[:2], 3)).byte().numpy())
    return Panel(
        image.resize((480, 480), Image.Resampling.NEAREST), title, "three directions of their features as colours"
    )


def _logits_panel(logits: Tensor, view: TableView, rings: np.ndarray, title: str) -> Panel:
    picture = shown_picture(view.picture)
    heatmap = shown_heatmap(_probability(logits), picture)
    return overlay_panel(heatmap, picture, title, marks=_rings(rings, picture))


def _rings(places: np.ndarray, picture: Image.Image) -> Marks:
    return Marks(rings=places / SIDE * picture.width)


def _box(view: TableView, number: int) -> tuple[float, float, float, float] | None:
    """Centre and extent, from 0 to 1, of what is seen of a block."""
    ys, xs = np.nonzero(view.seen == number)
    if not len(ys):
        return None
    x0, x1, y0, y1 = xs.min(), xs.max() + 1, ys.min(), ys.max() + 1
    side = len(view.seen)
    return tuple(
        round(float(v), 4) for v in ((x0 + x1) / 2 / side, (y0 + y1) / 2 / side, (x1 - x0) / side, (y1 - y0) / side)
    )  # type: ignore[return-value]
