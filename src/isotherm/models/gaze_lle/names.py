"""The published Gaze-LLE models by their names: backbone, decoder and weights."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import torch
from jaxtyping import Float
from torch import Tensor, nn

from isotherm.errors import AdapterError, OptionError, WeightsError
from isotherm.models.backbone import Backbone
from isotherm.models.gaze_lle.decoder import GazeDecoder, GazeDecoderConfig
from isotherm.models.gaze_lle.model import GazeLLE
from isotherm.models.transformers.backbone import load_backbone
from isotherm.models.weights.files import open_weights
from isotherm.models.weights.fitting import load_fitting
from isotherm.ops.names import known_word

RELEASE = "https://github.com/fkryan/gazelle/releases/download/v1.0.0/"


@dataclass(frozen=True)
class _Published:
    backbone: str
    hub_backbone: str
    channels: int
    inout: bool
    file: str


def _published(size: str, channels: int, hub: str) -> dict[str, _Published]:
    name = f"gazelle_dinov2_{size}"
    plain = f"{name}_hub.pt" if size == "vitb14" else f"{name}.pt"
    return {
        name: _Published(hub, f"dinov2_{size}", channels, False, plain),
        f"{name}_inout": _Published(hub, f"dinov2_{size}", channels, True, f"{name}_inout.pt"),
    }


PUBLISHED = _published("vitb14", 768, "facebook/dinov2-base") | _published("vitl14", 1024, "facebook/dinov2-large")
GAZE_LLE_NAMES = tuple(PUBLISHED)
"""The published models; those that end in ``_inout`` also say whether the gaze lies within the picture."""


def open_gaze_lle(
    name: str, *, weights: str | os.PathLike[str] = "auto", backbone: Backbone | str = "auto", seed: int = 0
) -> GazeLLE:
    """A Gaze-LLE, ready to be asked.

    Args:
        name: one of :data:`GAZE_LLE_NAMES`.
        weights: "auto" for the published ones, downloaded once; a file of them; or "none" for seeded random ones, which
            say nothing.
        backbone: "auto" for DINOv2 of transformers; another hub name or a folder of it; "torch.hub" for that of its
            authors' repository, whose Python code is downloaded and run; or one that is open already.
        seed: of random weights.

    Raises:
        OptionError: another name.
        WeightsError: the weights are not there, cannot be fetched, or are of another model.
        MissingExtraError: transformers is not installed.
    """
    published = PUBLISHED[known_word(name, GAZE_LLE_NAMES, "model")]
    random = os.fspath(weights) == "none"
    state = None if random else _weights_of(name, published, weights)  # first, as it is the smaller download
    if isinstance(backbone, str):
        if backbone == "torch.hub":
            scene: Backbone = HubBackbone.downloaded(published.hub_backbone)
        else:
            source = published.backbone if backbone == "auto" else backbone
            scene = load_backbone(source, weights="none" if random else "auto", seed=seed)
    else:
        scene = backbone
    decoder = _decoder(published, scene, seed)
    if state is not None:
        fpath, tensors = state
        load_fitting(decoder, tensors, name, fpath, optional=("backbone.",))
    return GazeLLE(scene, decoder).eval()


def _decoder(published: _Published, scene: Backbone, seed: int) -> GazeDecoder:
    if scene.channels != published.channels:
        raise OptionError(f"the backbone has {scene.channels} channels; this model needs {published.channels}")
    side = 448 // scene.stride
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GazeDecoder(GazeDecoderConfig(channels=published.channels, grid=(side, side), inout=published.inout))


def _weights_of(name: str, published: _Published, weights: str | os.PathLike[str]) -> tuple[Path, dict[str, Tensor]]:
    """The decoder's weights: from a file, from torch's cache, or downloaded into it."""
    if os.fspath(weights) != "auto":
        fpath = Path(weights)
    else:
        fpath = Path(torch.hub.get_dir()) / "checkpoints" / published.file
        if not fpath.is_file():
            fpath.parent.mkdir(parents=True, exist_ok=True)
            try:
                torch.hub.download_url_to_file(RELEASE + published.file, str(fpath), progress=False)
            except (URLError, OSError) as error:
                raise WeightsError(
                    f"the weights of {name} cannot be fetched ({getattr(error, 'reason', None) or error}); check the network, or "
                    f"download {RELEASE}{published.file} elsewhere and give it as --weights {published.file}"
                ) from error
    return fpath, open_weights(fpath)


class HubBackbone(Backbone):
    """DINOv2 as its authors' repository has it, which the published decoders were trained on.

    It differs from that of transformers in how positions are interpolated from 37 x 37 to 32 x 32 cells.

    Args:
        model: its module, which has ``forward_features``, ``embed_dim`` and ``patch_size``.

    Raises:
        AdapterError: it has not.
    """

    def __init__(self, model: nn.Module) -> None:
        if not all(hasattr(model, part) for part in ("forward_features", "embed_dim", "patch_size")):
            raise AdapterError(
                f"{type(model).__name__} is no DINOv2 of its authors' repository: it has no forward_features"
            )
        super().__init__(int(model.embed_dim), int(model.patch_size))  # type: ignore[arg-type]
        self.model = model

    @classmethod
    def downloaded(cls, name: str) -> HubBackbone:
        """The model of this name, by torch.hub: this runs the Python code of the repository facebookresearch/dinov2.

        Args:
            name: such as ``dinov2_vitl14``.

        Raises:
            WeightsError: it cannot be fetched.
        """
        try:
            return cls(torch.hub.load("facebookresearch/dinov2", name, trust_repo=True, verbose=False))
        except (URLError, OSError, RuntimeError) as error:
            raise WeightsError(
                f"{name} of facebookresearch/dinov2 cannot be fetched ({str(error).splitlines()[0]}); check the network, or take the "
                "backbone of transformers"
            ) from error

    def features(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c i j"]:
        tokens = self.model.forward_features(x)["x_norm_patchtokens"]  # type: ignore[operator]
        return tokens.transpose(1, 2).unflatten(2, (x.shape[-2] // self.stride, x.shape[-1] // self.stride))
