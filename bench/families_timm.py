"""One model of each of timm's families: the smallest that people use, with timm's own models for tests left out."""

from __future__ import annotations

from typing import Any

SMALLEST: dict[str, str] = {
    "byoanet": "halonet_h1",
    "byobnet": "mobileone_s1",
    "cait": "cait_xxs24_224",
    "coat": "coat_tiny",
    "convit": "convit_tiny",
    "convmixer": "convmixer_768_32",
    "convnext": "convnext_zepto_rms",
    "cpubone": "cpubone_nano",
    "crossvit": "crossvit_tiny_240",
    "csatv2": "csatv2",
    "cspnet": "cs3darknet_focus_s",
    "cspnext": "cspnext_tiny",
    "davit": "davit_tiny",
    "deit": "deit_tiny_patch16_224",
    "densenet": "densenet121",
    "dla": "dla46x_c",
    "dpn": "dpn48b",
    "edgenext": "edgenext_xx_small",
    "efficientformer": "efficientformer_l1",
    "efficientformer_v2": "efficientformerv2_s0",
    "efficientnet": "mobilenetv2_035",
    "efficientvim": "efficientvim_m1",
    "efficientvit_mit": "efficientvit_b0",
    "efficientvit_msra": "efficientvit_m0",
    "eva": "vit_tiny_patch16_dinov3_qkvb",
    "fasternet": "fasternet_t0",
    "fastvit": "fastvit_t8",
    "focalnet": "focalnet_tiny_srf",
    "gcvit": "gcvit_xxtiny",
    "ghostnet": "ghostnet_050",
    "hardcorenas": "hardcorenas_b",
    "hgnet": "hgnetv2_b0",
    "hiera": "hiera_tiny_224",
    "hieradet_sam2": "sam2_hiera_tiny",
    "hrnet": "hrnet_w18_small",
    "iformer": "iformer_t",
    "inception_next": "inception_next_atto",
    "inception_v3": "inception_v3",
    "lcnetv2": "lcnetv2_small",
    "levit": "levit_128s",
    "lowformer": "lowformer_b0",
    "mambaout": "mambaout_femto",
    "maxxvit": "maxvit_pico_rw_256",
    "metaformer": "poolformerv2_s12",
    "mlp_mixer": "gmlp_ti16_224",
    "mobilenetv3": "mobilenetv3_small_050",
    "mobilevit": "mobilevit_xxs",
    "mvitv2": "mvitv2_tiny",
    "nest": "nest_tiny",
    "nfnet": "nf_regnet_b0",
    "pit": "pit_ti_224",
    "pvt_v2": "pvt_v2_b0",
    "rdnet": "rdnet_tiny",
    "regnet": "regnetx_002",
    "repghost": "repghostnet_050",
    "repvit": "repvit_m1",
    "res2net": "res2next50",
    "resnest": "resnest14d",
    "resnet": "resnet10t",
    "resnetv2": "resnetv2_18",
    "rexnet": "rexnet_100",
    "senet": "legacy_seresnet18",
    "sequencer": "sequencer2d_s",
    "shvit": "shvit_s1",
    "sknet": "skresnet18",
    "starnet": "starnet_s050",
    "swiftformer": "swiftformer_xs",
    "swin_transformer": "swin_tiny_patch4_window7_224",
    "swin_transformer_v2": "swinv2_tiny_window8_256",
    "swin_transformer_v2_cr": "swinv2_cr_tiny_224",
    "tiny_vit": "tiny_vit_5m_224",
    "tnt": "tnt_s_legacy_patch16_224",
    "twins": "twins_svt_small",
    "visformer": "visformer_tiny",
    "vision_transformer": "vit_tiny_patch16_224",
    "vision_transformer_hybrid": "vit_tiny_r_s16_p8_224",
    "vision_transformer_relpos": "vit_srelpos_small_patch16_224",
    "vitamin": "vitamin_small_224",
    "volo": "volo_d1_224",
    "vovnet": "ese_vovnet19b_slim_dw",
    "xception": "legacy_xception",
    "xception_aligned": "xception41p",
    "xcit": "xcit_nano_12_p8_224",
}
"""Families (timm's modules) whose smallest has about 30 million parameters at most."""

LARGER: dict[str, tuple[str, dict[str, Any]]] = {
    "beit": ("beit_base_patch16_224", {"depth": 4, "embed_dim": 192, "num_heads": 3}),
    "deepseek_vit": ("deepseek_vit_412m", {"depth": 2, "embed_dim": 256}),
    "gemma4_vit": ("gemma4_vit_167m", {"depth": 2, "embed_dim": 192, "num_heads": 3}),
    "inception_resnet_v2": ("inception_resnet_v2", {}),
    "inception_v4": ("inception_v4", {}),
    "mobilenetv5": ("mobilenetv5_base", {}),
    "naflexvit": ("naflexvit_base_patch16_gap", {"embed_dim": 192, "num_heads": 3}),
    "nasnet": ("nasnetalarge", {}),
    "nextvit": ("nextvit_small", {}),
    "pnasnet": ("pnasnet5large", {}),
    "qwen3_vit": ("qwen3_vit_88m", {"depth": 3}),
    "selecsls": ("selecsls42", {}),
    "tresnet": ("tresnet_m", {}),
    "vgg": ("vgg11", {}),
    "vision_transformer_sam": ("samvit_base_patch16_224", {"depth": 4, "embed_dim": 192, "num_heads": 3}),
}
"""Families without so small a model: one that is built with fewer blocks and channels where the family takes their
numbers, and the smallest as it is where it does not.
"""

CHEAP = (
    "cspnet",
    "cspnext",
    "deit",
    "dla",
    "edgenext",
    "efficientnet",
    "efficientvit_mit",
    "efficientvit_msra",
    "fasternet",
    "ghostnet",
    "hardcorenas",
    "hgnet",
    "lcnetv2",
    "repghost",
)
"""The families that cost least, which the tests judge anew."""


def timm_families() -> dict[str, tuple[str, dict[str, Any]]]:
    """Family -> (timm's name of a model, what it is built with beside that)."""
    return dict(sorted({**{family: (name, {}) for family, name in SMALLEST.items()}, **LARGER}.items()))


def make_timm(name: str, options: dict[str, Any], seed: int = 0) -> Any:
    """A model with seeded weights; a classifier that begins with zeros, whose answer would be constant, gets some too."""
    import timm
    import torch

    torch.manual_seed(seed)
    model = timm.create_model(name, pretrained=False, **options).eval()
    found = model.get_classifier()
    for head in found if isinstance(found, tuple | list) else (found,):
        for part in head.modules():
            if isinstance(part, torch.nn.Linear) and not bool(part.weight.any()):
                torch.nn.init.normal_(part.weight, std=0.02)
    return model
