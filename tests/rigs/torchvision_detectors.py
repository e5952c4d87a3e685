"""torchvision's detectors, small, with seeded weights that find things."""

from __future__ import annotations

import torch
from torchvision.models import detection as tvd
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from rigs.view_checks import noise_picture

SMALL = {"min_size": 96, "max_size": 160}
TWO_STAGE = {**SMALL, "rpn_pre_nms_top_n_test": 100, "rpn_post_nms_top_n_test": 30, "box_score_thresh": 0.3}
PICTURES = [noise_picture(70, 90), noise_picture(110, 60, seed=1)]


def backbone(**kwargs):
    return resnet_fpn_backbone(backbone_name="resnet18", weights=None, **kwargs)


def pyramid_to_p7():
    return backbone(returned_layers=[2, 3, 4], extra_blocks=LastLevelP6P7(256, 256))


BUILD = {
    "faster": lambda: tvd.FasterRCNN(backbone(), num_classes=5, **TWO_STAGE),
    "mask": lambda: tvd.MaskRCNN(backbone(), num_classes=5, **TWO_STAGE),
    "keypoint": lambda: tvd.KeypointRCNN(
        backbone(), num_classes=2, **{**TWO_STAGE, "box_score_thresh": 0.0, "box_detections_per_img": 3}
    ),
    "retinanet": lambda: tvd.RetinaNet(pyramid_to_p7(), num_classes=5, score_thresh=0.4, **SMALL),
    "fcos": lambda: tvd.FCOS(pyramid_to_p7(), num_classes=5, score_thresh=0.4, **SMALL),
    "ssdlite": lambda: tvd.ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=5, score_thresh=0.3
    ),
    "ssd": lambda: tvd.ssd300_vgg16(weights=None, weights_backbone=None, num_classes=5, score_thresh=0.5),
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
