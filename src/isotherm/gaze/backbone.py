"""V-JEPA 2 for anticipation: clips to features, and features to what may be there some time later."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Size
from isotherm.gaze.fusion.fusion import At, Site
from isotherm.models.transformers.vjepa2.conditioned import Conditioning, run_layers, run_predictor


class VideoBackbone(nn.Module):
    """A VJEPA2Model, and what it would take without a word although it should not.

    Args:
        model: the VJEPA2Model, of :func:`isotherm.models.transformers.vjepa2.build.open_vjepa2`, say.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        config = model.config
        self.config: Any = config
        self.tubelet, self.token_size = int(config.tubelet_size), int(config.hidden_size)
        side = int(config.crop_size) // int(config.patch_size)
        self.grid: Size = (side, side)
        self.size: Size = (int(config.crop_size), int(config.crop_size))

    @property
    def encoder(self) -> Any:
        """Clips -> features."""
        return self.model.encoder

    @property
    def predictor(self) -> Any:
        """Features -> features of other places and times."""
        return self.model.predictor

    def site(self, at: At, *, predictor: bool = True) -> Site:
        """What a fusion there is made for.

        Args:
            at: in front of the encoder, or behind it.
            predictor: whether the predictor is used behind it.
        """
        c = self.config
        if at == "embeddings":
            inner, layers, heads = c.hidden_size, c.num_hidden_layers, c.num_attention_heads
        else:
            inner, heads = c.pred_hidden_size, c.pred_num_attention_heads
            layers = c.pred_num_hidden_layers if predictor else 0
        return Site(
            tokens=self.token_size,
            layer_tokens=int(inner),
            layers=int(layers),
            heads=int(heads),
            grid=self.grid,
            tubelet=self.tubelet,
            size=self.size,
        )

    def expect_video(self, video: Float[Tensor, "b t c h w"]) -> None:
        """Raise ShapeError where transformers would drop frames, double them, or take another grid's positions."""
        t, c, h, w = video.shape[1:]
        if t < self.tubelet or t % self.tubelet:
            raise ShapeError(
                f"the clip has {t} frames; expected a multiple of {self.tubelet}, the frames of a tubelet (the model itself would "
                f"{'repeat' if t < self.tubelet else 'drop'} frames without a word)"
            )
        if (h, w) != self.size:
            raise ShapeError(
                f"the frames have {h} x {w} pixels; expected {self.size[0]} x {self.size[1]}, as the model's positions are those of "
                f"{self.grid[0]} x {self.grid[1]} patches: resize or crop the clip, or open a model of that size"
            )
        if c != int(self.config.in_chans):
            raise ShapeError(f"the frames have {c} channels; expected {self.config.in_chans}")

    def embed(self, video: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b n d"]:
        """The tokens in front of the encoder's layers, in the order of (tubelet, row, column).

        Args:
            video: normalised as the model's processor does.

        Raises:
            ShapeError: no whole tubelets, or another resolution than the model's.
        """
        self.expect_video(video)
        tokens: Tensor = self.encoder.embeddings(video)
        return tokens

    def encode(
        self, tokens: Float[Tensor, "b n d"], conditioning: Conditioning | None = None
    ) -> Float[Tensor, "b n d"]:
        """Embeddings -> features.

        Args:
            tokens: of :meth:`embed`.
            conditioning: what the layers' attention takes beside them.
        """
        features: Tensor = self.encoder.layernorm(run_layers(self.encoder.layer, tokens, conditioning=conditioning))
        return features

    def tubelets(self, features: Float[Tensor, "b n d"]) -> int:
        """Of how many tubelets features are.

        Raises:
            ShapeError: they are no whole tubelets, or of another size.
        """
        per = self.grid[0] * self.grid[1]
        n, d = features.shape[1:]
        if n % per or n < per or d != self.token_size:
            raise ShapeError(
                f"features have shape {tuple(features.shape)}; expected (b, m x {per}, {self.token_size}): {self.grid[0]} x {self.grid[1]} tokens for each of m tubelets"
            )
        return n // per

    def target_ids(
        self, tubelets: int, ahead_s: Float[Tensor, " b"], *, frames_per_second: float, output_frames: int
    ) -> Int[Tensor, "b k"]:
        """Where the tokens of the future stand, counted on beyond the end of the clip.

        The time ahead is cut to whole tubelets, as in the training of the published probes.

        Args:
            tubelets: of the clip.
            ahead_s: seconds from the end of the clip to what is predicted, per clip.
            frames_per_second: of the clip as the model sees it.
            output_frames: how many frames are predicted.

        Raises:
            OptionError: a time before the end of the clip, or numbers that are not above 0.
        """
        if frames_per_second <= 0 or output_frames < 1:
            raise OptionError(
                f"frames_per_second is {frames_per_second} and output_frames {output_frames}; expected numbers above 0"
            )
        if bool((ahead_s < 0).any()) or not bool(torch.isfinite(ahead_s).all()):
            raise OptionError(
                f"ahead_s is {ahead_s.tolist()}; expected seconds of at least 0 after the end of the clip"
            )
        per = self.grid[0] * self.grid[1]
        # a hair more, since 4.2 s of 30 frames a second are 62.999996 tubelets of two in float32
        steps = (ahead_s * (frames_per_second / self.tubelet) + 1e-4).floor().long()
        # as many whole tubelets as fit, and one at least
        many = per * max(output_frames // self.tubelet, 1)
        return (tubelets + steps[:, None]) * per + torch.arange(many, device=ahead_s.device)

    def predict(
        self,
        features: Float[Tensor, "b n d"],
        ahead_s: Float[Tensor, " b"],
        *,
        frames_per_second: float,
        output_frames: int = 2,
        conditioning: Conditioning | None = None,
    ) -> Float[Tensor, "b k d"]:
        """What the predictor says of the frames some time after the end of the clip.

        Args:
            features: of the whole clip.
            ahead_s: as of :meth:`target_ids`, which has the other numbers too.
            frames_per_second: of the clip.
            output_frames: how many.
            conditioning: what the predictor's attention takes beside the features.
        """
        targets = self.target_ids(
            self.tubelets(features), ahead_s, frames_per_second=frames_per_second, output_frames=output_frames
        )
        context = torch.arange(features.shape[1], device=features.device).expand(features.shape[:2])
        return run_predictor(
            self.predictor, features, context_ids=context, target_ids=targets, conditioning=conditioning
        )
