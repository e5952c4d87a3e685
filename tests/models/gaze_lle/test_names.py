"""The published models by name: weights from a file, from the cache, and what is said where they are not."""

from __future__ import annotations

from urllib.error import URLError

import pytest
import torch
from torch import nn

from isotherm.errors import AdapterError, OptionError, WeightsError
from isotherm.models.gaze_lle import GAZE_LLE_NAMES, open_gaze_lle
from isotherm.models.gaze_lle.names import HubBackbone
from rigs.gaze_lle import Patches, published_state


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """An empty cache, and no network."""

    def refuse(url, *_, **__):
        raise URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    return tmp_path / "cache" / "checkpoints"


def test_a_file_of_published_weights_loads_as_it_is(tmp_path):
    state = published_state()
    torch.save(state | {"backbone.cls_token": torch.zeros(1)}, tmp_path / "gazelle.pt")
    model = open_gaze_lle("gazelle_dinov2_vitb14_inout", weights=tmp_path / "gazelle.pt", backbone=Patches(768))
    assert all(value.equal(state[name]) for name, value in model.decoder.state_dict().items())
    assert not model.training
    with pytest.raises(WeightsError, match=r"5 are unknown.*is it a file for another model"):
        open_gaze_lle("gazelle_dinov2_vitb14", weights=tmp_path / "gazelle.pt", backbone=Patches(768))
    with pytest.raises(WeightsError, match=r"linear.weight"):
        open_gaze_lle("gazelle_dinov2_vitl14_inout", weights=tmp_path / "gazelle.pt", backbone=Patches(1024))


def test_weights_are_taken_from_the_cache_before_the_network(offline):
    offline.mkdir(parents=True)
    state = published_state(channels=1024)
    torch.save(state, offline / "gazelle_dinov2_vitl14_inout.pt")
    model = open_gaze_lle("gazelle_dinov2_vitl14_inout", backbone=Patches(1024))
    assert model.decoder.linear.weight.equal(state["linear.weight"])


@pytest.mark.parametrize("name", GAZE_LLE_NAMES)
def test_without_a_network_the_message_says_where_to_get_them(offline, name):
    with pytest.raises(WeightsError, match=rf"{name}.*Name or service.*releases/download/v1.0.0/{name}.*--weights"):
        open_gaze_lle(name, backbone=Patches(1024 if "vitl" in name else 768))


def test_random_weights_are_asked_for_and_seeded(offline):
    a, b, c = (open_gaze_lle("gazelle_dinov2_vitb14", weights="none", backbone=Patches(768), seed=s) for s in (0, 0, 1))
    assert a.decoder.linear.weight.equal(b.decoder.linear.weight)
    assert not a.decoder.linear.weight.equal(c.decoder.linear.weight)


def test_what_is_not_published_is_refused():
    with pytest.raises(OptionError, match="did you mean 'gazelle_dinov2_vitb14"):
        open_gaze_lle("gazelle_dinov2_vitb16")
    with pytest.raises(OptionError, match="has 8 channels; this model needs 768"):
        open_gaze_lle("gazelle_dinov2_vitb14", weights="none", backbone=Patches(8))


def test_dinov2_of_transformers_is_read_from_a_folder(tmp_path):
    """Through the real class: one layer in place of twelve."""
    from transformers import Dinov2Config

    Dinov2Config(hidden_size=768, num_hidden_layers=1, num_attention_heads=12, image_size=518).save_pretrained(tmp_path)
    model = open_gaze_lle("gazelle_dinov2_vitb14_inout", weights="none", backbone=str(tmp_path))
    found = model.predict([torch.randint(0, 256, (3, 50, 80), dtype=torch.uint8)], [None])
    assert found.heatmap.values.shape == (1, 64, 64)
    assert found.heatmap.frame.source_size.tolist() == [[50, 80]]


class AuthorsModel(nn.Module):
    """The parts of DINOv2 of its authors' repository that are read."""

    embed_dim, patch_size = 6, 14

    def forward_features(self, x):
        cells = torch.arange(12.0).expand(len(x), 6, 12).transpose(1, 2)
        return {"x_norm_patchtokens": cells}


def test_dinov2_of_its_authors_gives_its_tokens_row_by_row(monkeypatch):
    asked = []
    monkeypatch.setattr(torch.hub, "load", lambda *words, **_: asked.append(words) or AuthorsModel())
    features = HubBackbone.downloaded("dinov2_vitb14")(torch.zeros(1, 3, 42, 56))
    assert asked == [("facebookresearch/dinov2", "dinov2_vitb14")]
    assert features[0, 5].tolist() == torch.arange(12.0).view(3, 4).tolist()
    with pytest.raises(AdapterError, match="has no forward_features"):
        HubBackbone(nn.Linear(2, 2))

    def refuse(*_, **__):
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "load", refuse)
    with pytest.raises(WeightsError, match=r"dinov2_vitb14 of facebookresearch/dinov2 cannot be fetched"):
        HubBackbone.downloaded("dinov2_vitb14")
