"""Maps of gaze keep their mass on every grid and over every tubelet, and are differentiable in place and width."""

from __future__ import annotations

import pytest
import torch

from isotherm.errors import OptionError, ShapeError
from isotherm.gaze.inputs import GazeInputs
from isotherm.gaze.maps import GazeMaps, overlap, pool_cells, pool_frames
from rigs.anticipation_models import random_gaze


@pytest.mark.parametrize(("many", "few"), [(8, 4), (7, 3), (3, 7), (224, 24), (5, 5), (1, 4)])
def test_shares_of_cells_sum_to_one_and_are_as_long_as_the_cells(many, few):
    shares = overlap(many, few)
    torch.testing.assert_close(shares.sum(1), torch.ones(many))
    torch.testing.assert_close(shares.sum(0), torch.full((few,), many / few))


@pytest.mark.parametrize("size", [(4, 4), (3, 5), (40, 7)])
def test_pooling_conserves_mass(size):
    maps = torch.rand(2, 8, 13, 16, generator=torch.Generator().manual_seed(0))
    pooled = pool_cells(maps, size)
    torch.testing.assert_close(pooled.sum((-2, -1)), maps.sum((-2, -1)))
    tubelets = pool_frames(pooled, 2)
    assert tubelets.shape == (2, 4, *size)
    torch.testing.assert_close(tubelets.sum((1, 2, 3)), maps.sum((1, 2, 3)))


def test_pooling_by_whole_cells_adds_them():
    maps = torch.arange(16.0).view(1, 4, 4)
    assert pool_cells(maps, (2, 2)).tolist() == [[[10, 18], [42, 50]]]


@pytest.mark.parametrize("source", ["places", "maps"])
def test_the_mass_of_tubelets_is_the_number_of_their_tracked_frames(source):
    gaze = random_gaze()
    if source == "maps":
        maps = torch.rand(2, 8, 9, 11) * 7
        gaze = GazeInputs.of_maps(maps, state=gaze.state, time_s=gaze.time_s, size=gaze.size)
    mass = pool_frames(GazeMaps().density(gaze, (4, 4)), 2).sum((-2, -1))
    # the second frame of the first tubelet is missing, the first of the third is out of frame
    torch.testing.assert_close(mass, torch.tensor([[1.0, 2, 1, 2]] * 2))


def test_a_density_lies_where_somebody_looked():
    xy = torch.tensor([[[28.0, 4.0]]])
    one = torch.ones(1, 1)
    gaze = GazeInputs(xy, torch.zeros(1, 1, dtype=torch.long), one, one * 0, (32, 64))
    density = GazeMaps(sigma=0.02).density(gaze, (4, 8))
    assert density[0, 0, 0, 3] > 0.95
    # sigma is 8 pixels of both axes: half of the mass on each side of an edge
    edge = GazeInputs(torch.tensor([[[32.0, 16.0]]]), gaze.state, one, one * 0, (32, 64))
    wide = GazeMaps(sigma=0.125).density(edge, (4, 8))[0, 0]
    torch.testing.assert_close(wide, wide.flip(0).flip(1))
    across, down = wide.sum(0), wide.sum(1)
    # P(|N(0, 8)| < 8) = 0.683 of a line that is 4 sigma wide across, and 2 sigma down
    assert float(across[3:5].sum()) == pytest.approx(0.683, abs=0.003)
    assert float(down[1:3].sum()) == pytest.approx(0.683 / 0.9545, abs=0.003)


def test_peaks_are_one_at_the_place():
    gaze = random_gaze(tracked=True)
    peaks = GazeMaps(sigma=0.2).peaks(gaze, (64, 64))
    assert peaks.amax() <= 1
    assert peaks.amax((-2, -1)).min() > 0.98
    maps = GazeInputs.of_maps(peaks * 255, state=gaze.state, time_s=gaze.time_s, size=gaze.size)
    torch.testing.assert_close(GazeMaps().peaks(maps, (64, 64)).amax((-2, -1)), torch.ones(2, 8))


def test_rendering_has_gradients_of_place_and_width():
    maps = GazeMaps(sigma=0.2, learned=True).double()
    gaze = random_gaze(1, frames=2, tracked=True)

    def rendered(xy, log_sigma):
        maps.log_sigma.data = log_sigma.data
        parts = {"log_sigma": log_sigma}
        moved = GazeInputs(xy, gaze.state, gaze.confidence.double(), gaze.time_s.double(), gaze.size)
        return torch.func.functional_call(Density(maps), {f"maps.{k}": v for k, v in parts.items()}, (moved,))

    xy = gaze.xy.double().requires_grad_()
    log_sigma = torch.tensor(-1.5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(rendered, (xy, log_sigma))


class Density(torch.nn.Module):
    """functional_call calls a module's forward."""

    def __init__(self, maps: GazeMaps) -> None:
        super().__init__()
        self.maps = maps

    def forward(self, gaze: GazeInputs) -> torch.Tensor:
        return self.maps.density(gaze, (3, 4))


def test_what_cannot_be_is_refused():
    with pytest.raises(ShapeError, match="7 frames; expected a multiple of 2"):
        pool_frames(torch.zeros(1, 7, 2), 2)
    with pytest.raises(OptionError, match="sigma is 0"):
        GazeMaps(sigma=0)
