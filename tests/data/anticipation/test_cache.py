"""Features are computed once, found again by what decides them, and never taken for others."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from isotherm.data.anticipation.actions import Action
from isotherm.data.anticipation.anchors import ClipPlan
from isotherm.data.anticipation.cache import CachedFeatures, cache_features, clip_identity, features_key, video_identity
from isotherm.errors import InputError, OptionError, ShapeError

CLIPS = [f"clip {i}" for i in range(10)]
VALUES = torch.randn(10, 3, 4, generator=torch.Generator().manual_seed(0))


class Encoder:
    """Counts what it is asked for, and may break off."""

    def __init__(self, values=VALUES, *, until=None):
        self.values, self.until, self.asked = values, until, []

    def __call__(self, rows):
        if self.until is not None and max(rows) >= self.until:
            raise KeyboardInterrupt
        self.asked += rows
        return self.values[rows]


def cached(folder, encoder=None, **options):
    defaults = {"weights": "w", "settings": {"size": [8, 8]}, "kept": "float32", "batch": 2, "shard": 4}
    return cache_features(CLIPS, encoder or Encoder(), folder, **(defaults | options))


def test_features_are_what_was_computed_and_computed_once(tmp_path):
    encoder = Encoder()
    cache = cached(tmp_path, encoder)
    assert encoder.asked == list(range(10))  # the first batch, which says how large features are, is not lost
    assert len(cache) == 10
    assert cache.shape == (3, 4)
    index = torch.tensor([9, 0, 4, 4])
    assert torch.equal(cache[index], VALUES[index])
    again = Encoder()
    assert torch.equal(cached(tmp_path, again)[index], VALUES[index])
    assert again.asked == []
    cache.verify()
    assert cache.notes == ()
    assert sorted(f.name for f in cache.dpath.glob("*.safetensors")) == [f"{i:05d}.safetensors" for i in range(3)]


@pytest.mark.parametrize("change", [{"weights": "v"}, {"settings": {"size": [8, 9]}}, {"kept": "bfloat16"}])
def test_anything_else_that_decides_the_features_is_another_cache(tmp_path, change):
    first = cached(tmp_path)
    encoder = Encoder()
    second = cached(tmp_path, encoder, **change)
    assert encoder.asked == list(range(10))
    assert second.dpath != first.dpath
    key = {"weights": "w", "settings": {}, "kept": "float16"}
    assert features_key(CLIPS, **key) != features_key(CLIPS[::-1], **key)
    assert features_key(CLIPS, **key) == features_key(list(CLIPS), **key)


def test_what_was_interrupted_goes_on_behind_its_last_whole_shard(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        cached(tmp_path, Encoder(until=6))
    (folder,) = tmp_path.iterdir()
    with pytest.raises(InputError, match="2 of 3 shards are missing"):
        CachedFeatures(folder)
    rest = Encoder()
    assert torch.equal(cached(tmp_path, rest)[torch.arange(10)], VALUES)
    assert rest.asked == [4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("damage", ["cut", "gone", "other", "note"])
def test_damaged_shards_are_computed_again(tmp_path, damage):
    folder = cached(tmp_path).dpath
    fpath = folder / "00001.safetensors"
    if damage == "cut":
        fpath.write_bytes(fpath.read_bytes()[:-10])
    elif damage == "gone":
        fpath.unlink()
    elif damage == "other":
        other = cached(tmp_path, settings={}).dpath
        fpath.write_bytes((other / "00001.safetensors").read_bytes())
    else:
        (folder / "features.json").write_text("{")
    encoder = Encoder()
    assert torch.equal(cached(tmp_path, encoder)[torch.arange(10)], VALUES)
    assert encoder.asked == ([0, 1] if damage == "note" else [4, 5, 6, 7])


def test_a_bit_that_flipped_is_found_by_verifying(tmp_path):
    cache = cached(tmp_path)
    fpath = cache.dpath / "00002.safetensors"
    data = bytearray(fpath.read_bytes())
    data[-3] ^= 1
    fpath.write_bytes(data)
    with pytest.raises(InputError, match="has changed since it was computed"):
        CachedFeatures(cache.dpath).verify()


@pytest.mark.parametrize(("kept", "most"), [("float16", 2.0**-11), ("bfloat16", 2.0**-8)])
def test_what_half_the_bytes_cost_is_said(tmp_path, kept, most):
    cache = cached(tmp_path, kept=kept)
    values = cache[torch.arange(10)]
    assert values.dtype == torch.float32
    apart = float(((values - VALUES).abs().amax((1, 2)) / VALUES.abs().amax((1, 2))).max())
    assert 0 < apart <= most
    assert cache.notes == (
        f"kept as {kept}: up to {apart:.2g} of the largest value of a clip away from what was computed",
    )


def test_what_float16_cannot_hold_is_refused(tmp_path):
    with pytest.raises(OptionError, match="bfloat16 or float32"):
        cached(tmp_path, Encoder(VALUES * 1e6), kept="float16")
    assert torch.isfinite(cached(tmp_path, Encoder(VALUES * 1e6), kept="bfloat16")[torch.tensor([0])]).all()
    with pytest.raises(OptionError, match="not finite"):
        cached(tmp_path, Encoder(VALUES * torch.nan), settings={"other": 1})


def test_a_cache_is_mapped_and_not_read(tmp_path, monkeypatch):
    """A shard takes no memory of its own: a clip's features are copied from the mapped file."""
    values = torch.randn(64, 64, 64)
    cache = cache_features(
        [str(i) for i in range(64)], lambda rows: values[rows], tmp_path, weights="w", settings={}, kept="float32"
    )
    monkeypatch.setattr("isotherm.headed.HeadedFile.read", lambda *_: pytest.fail("a shard was read whole"))
    again = CachedFeatures(cache.dpath)
    assert torch.equal(again[torch.tensor([63, 1])], values[[63, 1]])


def test_a_clip_is_its_video_and_its_moments(tmp_path):
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, 5 << 20, dtype=np.uint8)
    a, b = tmp_path / "a.mp4", tmp_path / "b.mp4"
    a.write_bytes(data.tobytes())
    b.write_bytes(data.tobytes())
    assert video_identity(a) == video_identity(b)  # whatever it is called
    for place in (0, len(data) // 2, len(data) - 1):
        changed = data.copy()
        changed[place] ^= 1
        b.write_bytes(changed.tobytes())
        assert video_identity(a) != video_identity(b)
    plan, action = ClipPlan(), Action("a", 10.0, 11.0, 0, 0)
    first = clip_identity(a, plan.planned(action, 0))
    assert first == clip_identity(a, plan.planned(action, 5))  # nothing is drawn
    assert first != clip_identity(b, plan.planned(action, 0))
    assert first != clip_identity(a, ClipPlan(anticipation_s=(1.5, 1.5)).planned(action, 0))
    with pytest.raises(InputError, match="nowhere"):
        video_identity(tmp_path / "nowhere.mp4")


def test_features_of_another_shape_are_refused(tmp_path):
    with pytest.raises(ShapeError, match=r"expected \(b, n, d\)"):
        cached(tmp_path, lambda rows: VALUES[rows, 0])
    with pytest.raises(ShapeError, match=r"expected \(2, 3, 4\)"):
        cached(tmp_path, lambda rows: VALUES[rows] if 0 in rows else VALUES[rows, :2], settings={})


def test_what_cannot_be_is_named(tmp_path):
    with pytest.raises(OptionError, match="at least one clip"):
        cache_features([], Encoder(), tmp_path, weights="w", settings={})
    with pytest.raises(OptionError, match="plain data"):
        cached(tmp_path, settings={"x": torch.ones(1)})
    with pytest.raises(InputError, match="holds no features"):
        CachedFeatures(tmp_path)
    with pytest.raises(OptionError, match="there are 10"):
        cached(tmp_path)[torch.tensor([10])]
    note = json.loads((cached(tmp_path).dpath / "features.json").read_text())
    assert note["clips"] == 10
