"""Every family of torchvision's classifiers, small, and what its view is to say of it."""

from __future__ import annotations

import torchvision.models as tv
from torch import nn


def small_vit():
    model = tv.VisionTransformer(
        image_size=64, patch_size=16, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64, num_classes=6
    )
    nn.init.normal_(model.heads.head.weight)  # torchvision starts it at zero, and so would every gradient be
    return model


def small_swin(version=1):
    block = (
        {}
        if version == 1
        else {
            "block": tv.swin_transformer.SwinTransformerBlockV2,
            "downsample_layer": tv.swin_transformer.PatchMergingV2,
        }
    )
    return tv.SwinTransformer(
        patch_size=[4, 4], embed_dim=24, depths=[1, 2], num_heads=[2, 4], window_size=[4, 4], num_classes=6, **block
    )


def small_maxvit():
    return tv.MaxVit(
        input_size=(64, 64),
        stem_channels=16,
        partition_size=2,
        block_channels=[16, 32],
        block_layers=[1, 1],
        head_dim=8,
        stochastic_depth_prob=0.0,
        num_classes=6,
    )


def small_convnext():
    setting = [tv.convnext.CNBlockConfig(16, 32, 1), tv.convnext.CNBlockConfig(32, None, 1)]
    return tv.ConvNeXt(setting, num_classes=6)


def small_vgg():
    model = tv.VGG(tv.vgg.make_layers([8, "M", 64, "M"]), num_classes=6, init_weights=False)
    model.classifier = nn.Sequential(nn.Linear(64 * 7 * 7, 6))  # the real one has a hundred million weights
    return model


def small_densenet():
    return tv.DenseNet(growth_rate=8, block_config=(2, 2), num_init_features=16, num_classes=6)


FAMILIES = {
    # name: (build, input side, auto layer, embedding length)
    "resnet18": (lambda: tv.resnet18(num_classes=6), 64, "layer4", 512),
    "vgg": (small_vgg, 64, "features[4]", 3136),
    "squeezenet": (lambda: tv.squeezenet1_1(num_classes=6), 64, "features", None),
    "densenet": (small_densenet, 64, "features", 32),
    "efficientnet_b0": (lambda: tv.efficientnet_b0(num_classes=6), 64, "features[-1]", 1280),
    "mobilenet_v2": (lambda: tv.mobilenet_v2(num_classes=6), 64, "features[-1]", 1280),
    "mobilenet_v3_small": (lambda: tv.mobilenet_v3_small(num_classes=6), 64, "features[-1]", 1024),
    "regnet_x_400mf": (lambda: tv.regnet_x_400mf(num_classes=6), 64, "trunk_output", 400),
    "shufflenet": (lambda: tv.shufflenet_v2_x0_5(num_classes=6), 64, "conv5", 1024),
    "mnasnet": (lambda: tv.mnasnet0_5(num_classes=6), 64, "layers", 1280),
    "googlenet": (lambda: tv.googlenet(num_classes=6, init_weights=True, aux_logits=False), 64, "inception5b", 1024),
    "convnext": (small_convnext, 64, "features[-1]", 32),
    "vit": (small_vit, 64, "encoder.layers[-1].ln_1", 32),
    "swin": (small_swin, 64, "norm", 48),
    "swin_v2": (lambda: small_swin(2), 64, "norm", 48),
    "maxvit": (small_maxvit, 64, "blocks[-1]", 32),
}
