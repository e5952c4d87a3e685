"""What every view of a model must do, as functions that the tests of each family call."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from isotherm.cam.capture import Recording, record
from isotherm.cam.view import Classification, Detections, Segmentation, View
from isotherm.relevance.modules import resolve


def noise_picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def state_of(model: torch.nn.Module):
    """All that an explanation must leave as it was."""
    return (
        [m.training for m in model.modules()],
        [p.requires_grad for p in model.parameters()],
        [p.grad for p in model.parameters()],
        [len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules()],
        [p.detach().double().sum().item() for p in model.parameters()],
        [b.double().sum().item() for b in model.buffers()],
    )


def assert_state_unchanged(view: View, before) -> None:
    after = state_of(view.model)
    for one, two in zip(before, after, strict=True):
        assert one == two


def record_at(view: View, pictures, layers=None, gradient=True):
    """(inputs, recording) of the view's own layers, or of those given."""
    inputs = view.prepare(pictures)
    layers = view.auto_layers().layers if layers is None else layers
    recording = record(view.model, partial(view.run, inputs), resolve(view.model, layers), gradient=gradient)
    return inputs, recording


def top_scores(prediction) -> tuple[torch.Tensor, torch.Tensor]:
    """(scores, picture) of the best answer per picture."""
    if isinstance(prediction, Classification):
        return prediction.logits.amax(1), torch.arange(len(prediction.logits))
    if isinstance(prediction, Segmentation):
        said = prediction.logits.detach().argmax(1, keepdim=True)
        return prediction.logits.gather(1, said).mean((1, 2, 3)), torch.arange(len(prediction.logits))
    assert isinstance(prediction, Detections)
    row = torch.arange(len(prediction))
    return prediction.logits[row, prediction.classes], prediction.picture.cpu()


def alive_cells(view: View, recording: Recording, inputs, which: int = 0) -> list[float]:
    """Per layer the share of cells with gradient of the ``which``-th score."""
    scores, picture = top_scores(view.find(recording.raw, inputs))
    gradients = recording.gradients(scores[which : which + 1], picture[which : which + 1])
    shares = []
    for call, gradient in zip(recording.calls, gradients, strict=True):
        layout = view.layout(str(call.layer), call.output, inputs)
        one = inputs.take([int(picture[which])])
        cells = view.layout(str(call.layer), gradient, one).to_grid(gradient)
        assert cells.shape[2:] == layout.to_grid(call.output).shape[2:]
        shares.append(float((cells != 0).any(1).float().mean()))
    return shares


def assert_block_moves_its_cell(
    view: View, layer: str, source: tuple[int, int], at: tuple[int, int], *, side: int = 12, cells: float = 1.0
) -> None:
    """A bright block in the source picture changes the layer's activation within ``cells`` cells of itself.

    The expected place comes from the frame alone, so crops, strides, prefixes, transposed grids and channel
    orders are all on trial.
    """
    base = np.full((*source, 3), 110, np.uint8) + noise_picture(*source) // 16
    lit = base.copy()
    x, y = at
    lit[y - side // 2 : y + side // 2, x - side // 2 : x + side // 2] = 255
    inputs, recording = record_at(view, [base, lit], [layer], gradient=False)
    output = recording.calls[0].output
    layout = view.layout(layer, output, inputs)
    grid = layout.to_grid(output)
    change = (grid[1] - grid[0]).double().square().sum(0)
    frame = layout.frame(inputs, tuple(grid.shape[2:]))[0]
    change = torch.where(change >= change.max() / 2, change, 0)  # the block itself, without the far echoes of attention
    rows, columns = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) + 0.5 for n in change.shape), indexing="ij")
    seen_at = (float((change * columns).sum() / change.sum()), float((change * rows).sum() / change.sum()))
    place = frame.points_from_source(torch.tensor([[float(x), float(y)]], dtype=torch.float64))[0].tolist()
    off = max(abs(place[0] - seen_at[0]), abs(place[1] - seen_at[1]))
    assert off <= cells, f"{layer}: block at cell {place}, change at {seen_at} of {tuple(change.shape)}"


def assert_one_channel(view, inputs, bias) -> None:
    """A segmenter with one channel says its class where the logit is above 0: half of the picture once the bias is their median."""
    from isotherm.cam.scores import SegmentationMask

    with torch.no_grad():
        bias -= view.find(view.run(inputs), inputs).logits.median()
        found = view.find(view.run(inputs), inputs)
    said = found.logits[:, 0] > 0
    assert 0.3 < float(said.float().mean()) < 0.7
    torch.testing.assert_close(SegmentationMask()(found, inputs).scores, found.logits[:, 0][said].mean()[None])
    with torch.no_grad():
        bias -= 1e4
        nothing = view.find(view.run(inputs), inputs)
    assert len(SegmentationMask()(nothing, inputs)) == 0
