import numpy as np
import pytest
import torch
from PIL import Image

from resnetkit import UserError
from resnetkit.data.transform import Transform


def test_the_centre_of_an_oblong_picture(fashion):
    image = fashion.parts["train"].image(0, 3)
    wide = np.concatenate(
        [np.zeros((28, 10, 3), np.uint8), image, np.zeros((28, 10, 3), np.uint8)], 1
    )
    assert np.array_equal(Transform(size=28).image(wide), image)


def test_resizing_is_pillows(fashion):
    image = fashion.parts["train"].image(0, 1)
    expected = Image.fromarray(image[:, :, 0]).resize((96, 96), Image.Resampling.BILINEAR)
    out = Transform(size=96, channels=1, mean=(0.0,), std=(1.0,)).image(image)
    assert np.array_equal(out[:, :, 0], np.asarray(expected))


def test_normalising():
    batch = torch.randint(0, 256, (2, 4, 4, 3), dtype=torch.uint8)
    transform = Transform(size=4)
    out = transform.normalise(batch)
    assert out.shape == (2, 3, 4, 4)
    assert out.is_contiguous(memory_format=torch.channels_last)
    for channel, (mean, std) in enumerate(zip(transform.mean, transform.std, strict=True)):
        expected = (batch[..., channel] / 255 - mean) / std
        torch.testing.assert_close(out[:, channel], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [{"channels": 2}, {"channels": 1}, {"size": 0}, {"std": (0.0, 1.0, 1.0)}, {"crop": 1.5}],
)
def test_what_cannot_be(change):
    with pytest.raises(UserError):
        Transform(**change)


@pytest.mark.parametrize("shape", [(375, 500), (500, 333), (256, 256)])
@pytest.mark.parametrize("how", ["bilinear", "bicubic"])
def test_cropping_then_resizing_is_resizing_then_cropping(fashion, shape, how):
    """As torchvision and timm judge: the shorter side to size / crop, then the centre."""
    method, (height, width) = Image.Resampling[how.upper()], shape
    picture = Image.fromarray(fashion.parts["train"].image(0, 3)).resize((width, height), method)
    ours = Transform(size=224, crop=0.875, interpolation=how).image(np.asarray(picture))
    scale = 256 / min(shape)
    whole = picture.resize((round(width * scale), round(height * scale)), method)
    left, top = (whole.width - 224) // 2, (whole.height - 224) // 2
    theirs = np.asarray(whole.crop((left, top, left + 224, top + 224)))
    difference = np.abs(ours.astype(int) - theirs.astype(int))
    assert difference.mean() < 1  # crops begin at whole pixels there: at most half a pixel away
    assert shape != (256, 256) or (difference <= 1).all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("how", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_a_cut_is_pillows_crop_resized(fashion, how, channels):
    picture = np.array(Image.fromarray(fashion.parts["train"].image(5, 3)).resize((200, 150), 3))[
        :, :, :channels
    ].copy()
    transform = Transform(
        size=64, channels=channels, interpolation=how, mean=(0.5,) * channels, std=(0.5,) * channels
    )
    ours = transform.cut(picture, (10, 20, 170, 110))
    pillow = Image.fromarray(picture.squeeze()).crop((10, 20, 170, 110))
    theirs = np.asarray(pillow.resize((64, 64), Image.Resampling[how.upper()]))
    assert ours.shape == (64, 64, channels)
    assert np.abs(ours.squeeze().astype(int) - theirs.astype(int)).max() <= 1


def test_a_cut_of_the_right_size_is_left_alone(fashion):
    image = fashion.parts["train"].image(0, 3)
    assert np.array_equal(Transform(size=10).cut(image, (3, 4, 13, 14)), image[4:14, 3:13])


def test_a_cut_of_an_array_that_lies_otherwise_in_memory(fashion):
    image = np.array(Image.fromarray(fashion.parts["train"].image(5, 3)).resize((60, 50), 3))
    transform, box = Transform(size=16), (3, 5, 50, 45)
    turned = np.ascontiguousarray(image.transpose(2, 0, 1)).transpose(1, 2, 0)
    assert np.array_equal(transform.cut(turned, box), transform.cut(image, box))
    backwards = image[:, :, ::-1]
    assert np.array_equal(transform.cut(backwards, box), transform.cut(backwards.copy(), box))
