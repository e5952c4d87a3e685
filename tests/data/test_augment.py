"""Where augmented pixels came from: the pixels themselves are the judge."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from isotherm.data.augment import augment
from isotherm.data.torchvision_augment import augment_v2
from isotherm.errors import FrameError, InputError
from isotherm.frame import Frame

SIZE = (96, 128)
PLACE = (56.0, 50.0)


def blob(x=PLACE[0], y=PLACE[1], size=SIZE, spread=4.0):
    yy, xx = torch.meshgrid(torch.arange(size[0]) + 0.5, torch.arange(size[1]) + 0.5, indexing="ij")
    return torch.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * spread**2)).expand(3, *size).clone()


def centre_of_gravity(picture):
    weight = torch.as_tensor(np.asarray(picture)).double()
    weight = weight[0] if weight.shape[0] == 3 else weight[..., 0]
    yy, xx = torch.meshgrid(torch.arange(weight.shape[0]) + 0.5, torch.arange(weight.shape[1]) + 0.5, indexing="ij")
    return torch.stack([(weight * xx).sum(), (weight * yy).sum()]) / weight.sum()


CHAINS = {
    "flip": v2.RandomHorizontalFlip(1.0),
    "flip vertically": v2.RandomVerticalFlip(1.0),
    "shrink": v2.Resize((48, 64)),
    "enlarge unevenly": v2.Resize((200, 150)),
    "crop": v2.RandomCrop((80, 100)),
    "resized crop": v2.RandomResizedCrop((64, 64), scale=(0.7, 0.9)),
    "turn": v2.RandomRotation((25, 25), interpolation=v2.InterpolationMode.BILINEAR),
    "turn and grow": v2.RandomRotation((40, 40), interpolation=v2.InterpolationMode.BILINEAR, expand=True),
    "affine": v2.RandomAffine((10, 10), (0.05, 0.05), (0.8, 0.8), (5, 5), interpolation=v2.InterpolationMode.BILINEAR),
    "pad": v2.Pad((7, 3, 1, 5)),
    "zoom out": v2.RandomZoomOut(p=1.0, side_range=(1.5, 1.5)),
    "colours too": v2.Compose(
        [v2.ColorJitter(0.4), v2.RandomHorizontalFlip(1.0), v2.Resize((120, 160)), v2.GaussianBlur(3)]
    ),
    "the lot": v2.Compose(
        [
            v2.RandomHorizontalFlip(1.0),
            v2.RandomRotation((15, 15), interpolation=v2.InterpolationMode.BILINEAR),
            v2.Resize((60, 80)),
            v2.RandomVerticalFlip(1.0),
        ]
    ),
}


@pytest.mark.parametrize("name", CHAINS)
def test_the_frame_is_where_the_pixels_came_from(name):
    out = augment_v2(CHAINS[name], blob())
    expected = out.frame.points_from_source(torch.tensor([PLACE], dtype=torch.float64))[0]
    assert out.frame.size == tuple(out.picture.shape[-2:])
    # torchvision rounds the canvas of a turn that grows, for boxes to the one side and for pixels to both
    torch.testing.assert_close(
        centre_of_gravity(out.picture), expected, atol=0.5 if name == "turn and grow" else 0.08, rtol=0
    )
    back = out.frame.points_to_source(expected[None])[0]
    torch.testing.assert_close(back, torch.tensor(PLACE, dtype=torch.float64), atol=1e-4, rtol=0)


def test_a_flip_is_exact():
    frame = augment_v2(v2.RandomHorizontalFlip(1.0), blob()).frame
    assert frame.allclose(Frame.identity(SIZE).flipped(), atol=1e-9)


def test_the_librarys_own_keypoints_are_half_a_pixel_off():
    """torchvision 0.29: mirrored as w - 1 - x and resized as a x, so edge-origin points are right in one of the two only."""
    from torchvision import tv_tensors

    chain = v2.Compose([v2.RandomHorizontalFlip(1.0), v2.Resize((192, 256))])
    points = tv_tensors.KeyPoints(torch.tensor([PLACE]), canvas_size=SIZE)
    picture, theirs = chain(tv_tensors.Image(blob()), points)
    ours = augment_v2(chain, blob()).frame.points_from_source(torch.tensor([PLACE], dtype=torch.float64))[0]
    pixels = centre_of_gravity(picture)
    assert float((pixels - ours).abs().max()) < 0.05
    assert float((pixels - theirs[0]).abs().max()) == pytest.approx(
        2.0, abs=0.05
    )  # one pixel before, two behind the resize


def test_pil_pictures():
    picture = Image.fromarray((blob() * 255).byte().permute(1, 2, 0).numpy())
    out = augment_v2(v2.Compose([v2.Resize((48, 64)), v2.RandomHorizontalFlip(1.0)]), picture)
    assert isinstance(out.picture, Image.Image)
    assert out.frame.allclose(Frame.resize(SIZE, (48, 64)).flipped(), atol=1e-6)


@pytest.mark.parametrize("bent", [v2.RandomPerspective(0.5, p=1.0), v2.ElasticTransform(80.0)])
def test_bent_pictures_have_no_frame(bent):
    with pytest.raises(FrameError, match="away from any affine map"):
        augment_v2(bent, blob())


def test_what_cannot_be_followed():
    with pytest.raises(InputError, match="dropped boxes"):
        augment_v2(v2.Compose([v2.CenterCrop(10), v2.SanitizeBoundingBoxes(labels_getter=None)]), blob())
    with pytest.raises(InputError, match="not a picture"):
        augment_v2(v2.Resize(8), "photo.jpg")


class TestInTheStyleOfAlbumentations:
    @staticmethod
    def shrunk_and_mirrored(image, bboxes):
        h, w = image.shape[:2]
        new = np.asarray(Image.fromarray(image).resize((w // 2, h // 2), Image.Resampling.BOX))[:, ::-1]
        return {"image": new, "bboxes": [(w / 2 - x1 / 2, y0 / 2, w / 2 - x0 / 2, y1 / 2) for x0, y0, x1, y1 in bboxes]}

    def test_pixels(self):
        picture = (blob() * 255).byte().permute(1, 2, 0).numpy()
        out = augment(self.shrunk_and_mirrored, picture)
        assert out.frame.allclose(Frame.resize(SIZE, (48, 64)).flipped(), atol=1e-5)
        expected = out.frame.points_from_source(torch.tensor([PLACE], dtype=torch.float64))[0]
        torch.testing.assert_close(centre_of_gravity(out.picture.copy()), expected, atol=0.08, rtol=0)

    def test_lost_boxes(self):
        with pytest.raises(InputError, match="kept 0 of 9 boxes"):
            augment(lambda image, bboxes: {"image": image, "bboxes": []}, np.zeros((8, 8), np.uint8))
        with pytest.raises(InputError, match="dict with image and bboxes"):
            augment(lambda image, bboxes: image, np.zeros((8, 8), np.uint8))

    def test_clipped_boxes(self):
        def clipped(image, bboxes):
            return {"image": image, "bboxes": np.clip(bboxes - 30, 0, 100)}

        with pytest.raises(FrameError, match="cut off at the border"):
            augment(clipped, np.zeros((100, 100), np.uint8))
