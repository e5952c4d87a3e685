"""Files by the time they were made: never one over another, never half a one, and no name that leads elsewhere."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from isotherm.errors import InputError, OptionError
from isotherm.studio.heatmaps import HeatmapFolder


def test_maps_of_one_second_are_numbered_also_by_many_at_once(tmp_path):
    drawn = tmp_path / "drawn.jpg"
    drawn.write_bytes(b"picture")
    folder = HeatmapFolder(tmp_path / "heatmaps", now=lambda: datetime(2026, 11, 29, 20, 5, 7))
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(folder.keep, [drawn] * 24))
    first = "heatmap_20261129_200507"
    assert sorted(names) == sorted([f"{first}.jpg", *(f"{first}_{i}.jpg" for i in range(2, 25))])
    assert sorted(path.name for path in folder.dpath.iterdir()) == sorted(names)
    assert {path.read_bytes() for path in folder.dpath.iterdir()} == {b"picture"}
    assert folder.path(first) == folder.path(f"{first}.jpg") == folder.dpath / f"{first}.jpg"
    assert folder.path(f"{first}_24").is_file()


@pytest.mark.parametrize(
    "text", ["../heatmap_20261129_200507.jpg", "/etc/passwd", "heatmap_20261129_200507.jpg/..", "heatmap_1_2", "", "."]
)
def test_only_names_of_heatmaps_are_looked_for(tmp_path, text):
    with pytest.raises(OptionError, match="is no heatmap's name"):
        HeatmapFolder(tmp_path).path(text)
    with pytest.raises(InputError, match="there is no heatmap heatmap_20200101_000000"):
        HeatmapFolder(tmp_path).path("heatmap_20200101_000000.jpg")
