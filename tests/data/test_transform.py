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
