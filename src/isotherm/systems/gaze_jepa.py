"""V-JEPA 2's anticipation with gaze heatmaps, by the names that people know from evals/action_anticipation_frozen.

The classes take the arguments that their namesakes take, and do their work by :mod:`isotherm.gaze`. What differs:

| | there | here |
|---|---|---|
| training of the heatmap embedding | never: the whole wrapper is frozen and runs without gradients | trained; :func:`isotherm.gaze.trainable.expect_gradients` names what is not |
| the first step | random heatmap tokens disturb the pretrained predictor | gates at 0: the pretrained predictor, to the bit |
| heatmap tokens | the mean of a frame's patches, which does not say in which patch somebody looked | a token per patch, at the place of its patch; ``fusion`` has the others, the mean too (``interleave_pooled``) |
| the future | the heatmap predictor says the clip's own frames; it has no mask tokens | it says frames beyond the clip, as V-JEPA 2's predictor does; without ``masks_y``, the clip's own |
| heatmaps | one per tubelet, in pixels of the input | one per frame or per tubelet, at any resolution, peak 1 or sum 1 |
| a missing heatmap | zeros | the state *missing*, with a learned token; a heatmap of zeros is taken for one |
| attention across frames | causal (``is_frame_causal``) | that of the pretrained predictor, which reads all frames |
| frames and sizes that do not fit | cut, doubled or stretched | an error |
| anticipation time | cut to whole tubelets | the same |
| sizes of the predictor unless given | 1024 channels, 24 layers, which no published predictor has | 384 channels, 12 layers, as in the published configuration |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from isotherm.data.gaze.states import GazeState
from isotherm.errors import OptionError, ShapeError
from isotherm.frame import Size
from isotherm.gaze.fusion import Fusion, FusionConfig, Site, fusion_from
from isotherm.gaze.inputs import GazeInputs
from isotherm.models.transformers.vjepa2.build import make_predictor
from isotherm.models.transformers.vjepa2.conditioned import run_predictor

FIXED: dict[str, tuple[Any, ...]] = {
    "qk_scale": (None,),
    "drop_rate": (0.0,),
    "use_silu": (False,),
    "use_mask_tokens": (True,),
    "return_all_tokens": (False,),
    "chop_last_n_tokens": (0,),
    "use_rope": (True,),
    "is_frame_causal": (False,),
    "heatmap_embed_dim": (None,),
}
"""Arguments of the namesake that have one value here; another would be another network."""
WITHOUT_EFFECT = (
    "uniform_power",
    "wide_silu",
    "use_sdpa",
    "use_activation_checkpointing",
    "norm_layer",
    "model_name",
    "checkpoint_key",
)
"""Arguments of the namesake that change nothing in a predictor with rotary positions and GELU, or how it is computed
alone."""


class VisionTransformerPredictorHeatmap(nn.Module):
    """V-JEPA 2's predictor, whose layers read gaze heatmaps beside the clip's tokens.

    Args:
        img_size: (h, w) of the input, or one number; it must be square, as the predictor's positions are.
        patch_size: of the video's patches.
        num_frames: that the predictor was trained with; clips may have others.
        tubelet_size: frames per token.
        embed_dim: of the encoder's tokens.
        predictor_embed_dim: of the predictor's.
        depth: layers.
        num_heads: of attention.
        mlp_ratio: of feedforward layers.
        qkv_bias: whether queries, keys and values have biases.
        attn_drop_rate: dropout of attention.
        drop_path_rate: of whole branches.
        init_std: of random weights.
        num_mask_tokens: of the pretrained predictor; one of them is read.
        zero_init_mask_tokens: they begin as zeros.
        heatmap_patch_size: in pixels of the input.
        fusion: how gaze gets in, in place of interleaved heatmap patches: a configuration or its plain data, at the
            features.
        seed: of all weights.
        others: further arguments of the namesake, with the values that they have here.

    Raises:
        OptionError: an argument that there is not, or a value that would be another network.

    Example:
        >>> predictor = VisionTransformerPredictorHeatmap(img_size=32, embed_dim=32, predictor_embed_dim=24, depth=1, num_heads=2)
        >>> predictor(torch.zeros(1, 8, 32), torch.rand(1, 4, 32, 32)).shape
        torch.Size([1, 8, 32])
    """

    def __init__(
        self,
        img_size: int | tuple[int, int] = (224, 224),
        patch_size: int = 16,
        num_frames: int = 1,
        tubelet_size: int = 2,
        embed_dim: int = 768,
        predictor_embed_dim: int = 384,
        depth: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        init_std: float = 0.02,
        num_mask_tokens: int = 2,
        zero_init_mask_tokens: bool = True,
        heatmap_patch_size: int = 16,
        *,
        fusion: FusionConfig | Mapping[str, Any] | str | None = None,
        seed: int = 0,
        **others: Any,
    ) -> None:
        super().__init__()
        _expect_others(others)
        size: Size = (img_size, img_size) if isinstance(img_size, int) else (img_size[0], img_size[1])
        if size[0] != size[1] or size[0] % patch_size:
            raise OptionError(
                f"img_size is {size} and patch_size {patch_size}; expected a square of whole patches, as the predictor's positions are those of a square"
            )
        settings = dict(
            crop_size=size[0],
            patch_size=patch_size,
            frames_per_clip=num_frames,
            tubelet_size=tubelet_size,
            hidden_size=embed_dim,
            num_attention_heads=1,
            pred_hidden_size=predictor_embed_dim,
            pred_num_hidden_layers=depth,
            pred_num_attention_heads=num_heads,
            pred_mlp_ratio=mlp_ratio,
            qkv_bias=qkv_bias,
            attention_probs_dropout_prob=attn_drop_rate,
            drop_path_rate=drop_path_rate,
            initializer_range=init_std,
            pred_num_mask_tokens=num_mask_tokens,
            pred_zero_init_mask_tokens=zero_init_mask_tokens,
        )
        self.predictor = make_predictor(settings, seed=seed)
        self.embed_dim, self.tubelet_size = embed_dim, tubelet_size
        self.img_height, self.img_width = size
        self.grid_height = self.grid_width = size[0] // patch_size
        self.heatmap_patch_size = heatmap_patch_size
        self.fusion = self._fusion(fusion, seed)

    def _fusion(self, wanted: FusionConfig | Mapping[str, Any] | str | None, seed: int) -> Fusion:
        if wanted is None:
            wanted = {"name": "interleave", "heatmap_patch_size": self.heatmap_patch_size}
        config = wanted if isinstance(wanted, FusionConfig) else fusion_from(wanted)
        if config is None or config.at != "features":
            raise OptionError(
                f"the fusion is {wanted!r}; expected one that acts at the features, which is what a predictor gets"
            )
        c = self.predictor.config
        site = Site(
            tokens=self.embed_dim,
            layer_tokens=int(c.pred_hidden_size),
            layers=int(c.pred_num_hidden_layers),
            heads=int(c.pred_num_attention_heads),
            grid=(self.grid_height, self.grid_width),
            tubelet=self.tubelet_size,
            size=(self.img_height, self.img_width),
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return config.make(site)

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        heatmap: Float[Tensor, "b t *chw"] | GazeInputs | None = None,
        *,
        masks_x: Int[Tensor, "b n"] | None = None,
        masks_y: Int[Tensor, "b k"] | None = None,
        mask_index: int = 1,
    ) -> Float[Tensor, "b k d"]:
        """The predictor's tokens at the places of ``masks_y``.

        Args:
            x: context tokens, of all patches of whole tubelets where there is gaze.
            heatmap: (b, t, H, W) or (b, t, 1, H, W), one per frame or per tubelet; or gaze inputs, which also know
                what is out of frame. None: the predictor without gaze.
            masks_x: numbers of the context tokens in the grid; in their order unless given.
            masks_y: numbers of what is predicted, beyond the clip too; those of the context unless given.
            mask_index: which mask token stands for what is predicted; 1, the one that transformers reads.

        Raises:
            OptionError: another mask token.
            ShapeError: heatmaps or tokens that do not fit.
        """
        if mask_index != 1:
            raise OptionError(
                f"mask_index is {mask_index}; expected 1, the mask token that transformers' predictor reads"
            )
        at = torch.arange(x.shape[1], device=x.device).expand(x.shape[:2])
        context = at if masks_x is None else masks_x
        conditioning = None
        if heatmap is not None:
            gaze = self.gaze(x, heatmap)
            x = self.fusion.add(x, gaze)
            conditioning = self.fusion.condition(x, gaze)
        return run_predictor(
            self.predictor,
            x,
            context_ids=context,
            target_ids=context if masks_y is None else masks_y,
            conditioning=conditioning,
        )

    def gaze(self, x: Float[Tensor, "b n d"], heatmap: Float[Tensor, "b t *chw"] | GazeInputs) -> GazeInputs:
        """Heatmaps of a clip as gaze inputs; of frames whose heatmap is empty, nothing is known.

        Args:
            x: the clip's tokens.
            heatmap: as of :meth:`forward`.
        """
        per = self.grid_height * self.grid_width
        tubelets = x.shape[1] // per
        frames = tubelets * self.tubelet_size
        if x.shape[1] % per:
            raise ShapeError(
                f"there are {x.shape[1]} tokens; expected a multiple of {per}, {self.grid_height} x {self.grid_width} for each tubelet"
            )
        if isinstance(heatmap, GazeInputs):
            return heatmap
        maps = heatmap[:, :, 0] if heatmap.ndim == 5 and heatmap.shape[2] == 1 else heatmap
        if maps.ndim != 4 or len(maps) != len(x) or maps.shape[1] not in (frames, tubelets):
            raise ShapeError(
                f"heatmaps have shape {tuple(heatmap.shape)}; expected ({len(x)}, t, H, W) with t = {frames}, one per frame, or {tubelets}, one per tubelet"
            )
        if maps.shape[1] != frames:
            maps = maps.repeat_interleave(self.tubelet_size, dim=1)
        known = maps.flatten(2).any(-1)
        state = torch.where(known, int(GazeState.TRACKED), int(GazeState.MISSING))
        return GazeInputs.of_maps(
            maps, state=state, time_s=torch.zeros_like(maps[..., 0, 0]), size=(self.img_height, self.img_width)
        )


def vit_heatmap_predictor(**arguments: Any) -> VisionTransformerPredictorHeatmap:
    """The predictor by the name that configurations call it.

    Args:
        arguments: of :class:`VisionTransformerPredictorHeatmap`.
    """
    return VisionTransformerPredictorHeatmap(**arguments)


class AnticipativeWrapperHeatmap(nn.Module):
    """A clip's tokens and those of its future, as a probe reads them.

    Args:
        encoder: transformers' VJEPA2Model or its encoder, which take (b, t, c, h, w); or any module that makes tokens
            of (b, c, t, h, w).
        predictor: with heatmaps, or without.
        frames_per_second: of the clips.
        crop_size: of the input in pixels.
        patch_size: of the video's patches.
        tubelet_size: frames per token.
        no_predictor: the encoder's tokens alone.
        num_output_frames: that are predicted at a time.
        num_steps: how many times; each further one takes the last for the end of the clip.
        no_encoder: the predicted tokens alone.

    Raises:
        OptionError: neither encoder nor predictor.
    """

    def __init__(
        self,
        encoder: nn.Module,
        predictor: VisionTransformerPredictorHeatmap,
        frames_per_second: float = 4,
        crop_size: int = 224,
        patch_size: int = 16,
        tubelet_size: int = 2,
        no_predictor: bool = False,
        num_output_frames: int = 2,
        num_steps: int = 1,
        no_encoder: bool = False,
    ) -> None:
        super().__init__()
        if no_predictor and no_encoder:
            raise OptionError("no_predictor and no_encoder are both True, so nothing would be left")
        self.encoder, self.predictor = encoder, predictor
        self.grid_size, self.tubelet_size = crop_size // patch_size, tubelet_size
        self.no_predictor, self.no_encoder = no_predictor, no_encoder
        self.num_output_frames = max(num_output_frames, tubelet_size)
        self.frames_per_second, self.num_steps = frames_per_second, num_steps
        self.embed_dim = predictor.embed_dim

    def freeze_pretrained(self) -> AnticipativeWrapperHeatmap:
        """Train the parts of gaze alone, which is what the published recipe meant to do."""
        self.requires_grad_(False)
        self.predictor.fusion.requires_grad_(True)
        return self

    def forward(
        self,
        x: Float[Tensor, "b c t h w"],
        anticipation_times: Float[Tensor, " b"],
        heatmap: Float[Tensor, "b t *chw"] | GazeInputs | None = None,
    ) -> Float[Tensor, "b n d"]:
        """Tokens of the clip and then of what is anticipated.

        Args:
            x: clips, normalised.
            anticipation_times: seconds from the end of each clip.
            heatmap: as of :class:`VisionTransformerPredictorHeatmap`.
        """
        tokens = self._encoded(x)
        if self.no_predictor:
            return tokens
        per = self.grid_size**2
        n, predicted_tokens = tokens.shape[1], per * (self.num_output_frames // self.tubelet_size)
        steps = (anticipation_times * (self.frames_per_second / self.tubelet_size) + 1e-4).floor().long()
        first = (n + per * steps)[:, None]
        places = first + torch.arange(predicted_tokens, device=tokens.device)
        kept = [] if self.no_encoder else [tokens]
        for _ in range(self.num_steps):
            predicted = self.predictor(tokens, heatmap, masks_y=places)
            kept.append(predicted)
            tokens = torch.cat([tokens[:, predicted_tokens:], predicted], dim=1)
        return torch.cat(kept, dim=1)

    def _encoded(self, x: Tensor) -> Tensor:
        encoder: Any = getattr(self.encoder, "encoder", self.encoder)
        if not hasattr(encoder, "embeddings"):
            tokens: Tensor = encoder(x)
            return tokens
        side, frames = self.grid_size * int(encoder.config.patch_size), x.shape[2]
        if frames < self.tubelet_size or frames % self.tubelet_size or tuple(x.shape[3:]) != (side, side):
            raise ShapeError(
                f"clips have shape {tuple(x.shape)}; expected (b, c, t, {side}, {side}) with t a multiple of {self.tubelet_size}"
            )
        return encoder(x.movedim(1, 2)).last_hidden_state


def _expect_others(others: Mapping[str, Any]) -> None:
    for name, value in others.items():
        if name in FIXED:
            if value not in FIXED[name]:
                raise OptionError(
                    f"{name} is {value!r}; expected {FIXED[name][0]!r}, as V-JEPA 2's published predictor has it"
                )
        elif name not in WITHOUT_EFFECT:
            raise OptionError(
                f"there is no argument {name}; beside those that the signature has there are {', '.join((*FIXED, *WITHOUT_EFFECT))}"
            )
