"""torchvision's detectors, small, with seeded weights that find things."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torchvision.models import detection as tvd
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.ssd import _vgg_extractor
from torchvision.models.vgg import make_layers
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from rigs.view_checks import noise_picture

SMALL = {"min_size": 96, "max_size": 160}
TWO_STAGE = {**SMALL, "rpn_pre_nms_top_n_test": 100, "rpn_post_nms_top_n_test": 30, "box_score_thresh": 0.3}
PICTURES = [noise_picture(70, 90), noise_picture(110, 60, seed=1)]


def backbone(**kwargs):
    return resnet_fpn_backbone(backbone_name="resnet18", weights=None, **kwargs)


def pyramid_to_p7():
    return backbone(returned_layers=[2, 3, 4], extra_blocks=LastLevelP6P7(256, 256))


def small_ssd():
    """SSD300 whose VGG has its widths only where layers of SSD follow: the real one has 140 million weights."""
    widths = [8, 8, "M", 16, 16, "M", 32, 32, 32, "M", 32, 32, 512, "M", 32, 32, 512, "M"]
    vgg = SimpleNamespace(features=make_layers(widths))
    boxes = DefaultBoxGenerator(
        [[2], [2, 3], [2, 3], [2, 3], [2], [2]],
        scales=[0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05],
        steps=[8, 16, 32, 64, 100, 300],
    )
    colours = {"image_mean": [0.48235, 0.45882, 0.40784], "image_std": [1 / 255] * 3}
    return tvd.ssd.SSD(_vgg_extractor(vgg, False, 5), boxes, (300, 300), num_classes=5, score_thresh=0.5, **colours)


def narrow_head(classes: int):
    """What reads boxes, with 64 features instead of 1024."""
    return {"box_head": TwoMLPHead(256 * 7**2, 64), "box_predictor": FastRCNNPredictor(64, classes)}


def small_mask_rcnn():
    masks = {"mask_head": MaskRCNNHeads(256, (32, 32), 1), "mask_predictor": MaskRCNNPredictor(32, 32, 5)}
    return tvd.MaskRCNN(backbone(), **narrow_head(5), **masks, **TWO_STAGE)


def small_keypoint_rcnn():
    keypoints = {"keypoint_head": KeypointRCNNHeads(256, (32, 32)), "keypoint_predictor": KeypointRCNNPredictor(32, 17)}
    options = {**TWO_STAGE, "box_score_thresh": 0.0, "box_detections_per_img": 3}
    return tvd.KeypointRCNN(backbone(), **narrow_head(2), **keypoints, **options)


BUILD = {
    "faster": lambda: tvd.FasterRCNN(backbone(), **narrow_head(5), **TWO_STAGE),
    "mask": small_mask_rcnn,
    "keypoint": small_keypoint_rcnn,
    "retinanet": lambda: tvd.RetinaNet(pyramid_to_p7(), num_classes=5, score_thresh=0.4, **SMALL),
    "fcos": lambda: tvd.FCOS(pyramid_to_p7(), num_classes=5, score_thresh=0.4, **SMALL),
    "ssdlite": lambda: tvd.ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=5, score_thresh=0.3
    ),
    "ssd": small_ssd,
}
LEVELS = {"faster": 4, "mask": 4, "keypoint": 4, "retinanet": 5, "fcos": 5, "ssdlite": 6, "ssd": 6}


def build(name, seed=0):
    """Seeded weights that find things: wide everywhere, small where boxes are refined."""
    torch.manual_seed(seed)
    model = BUILD[name]()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 1.4 / parameter[0].numel() ** 0.5)
            if "bbox" in key and "ctr" not in key:
                parameter.mul_(0.05)
    return model.eval()
