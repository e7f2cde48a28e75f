"""The plain loop that a torchvision user writes; run in the environment of `make peers`.

torchvision's resnet18, its datasets' and transforms' usual path, DataLoader with 2 workers, fp32,
default layout, SGD. Prints images/s from step 20 on as JSON.
"""

import argparse
import gzip
import json
import struct
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from peer_libraries import peer_libraries


class FashionMNIST(torch.utils.data.Dataset):
    """As torchvision.datasets.FashionMNIST serves its items: a PIL image through the transform."""

    def __init__(self, folder: Path, images: int, transform):
        with gzip.open(folder / "train-images-idx3-ubyte.gz") as file:
            _, count, height, width = struct.unpack(">4I", file.read(16))
            self.images = np.frombuffer(file.read(), np.uint8).reshape(count, height, width)[
                :images
            ]
        with gzip.open(folder / "train-labels-idx1-ubyte.gz") as file:
            self.labels = np.frombuffer(file.read(), np.uint8, offset=8)[:images].astype(int)
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int):
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def main() -> None:
    peer_libraries()
    from torchvision import models, transforms

    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=3840)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--size", type=int, default=96)
    options = parser.parse_args()
    transform = transforms.Compose([transforms.Resize(options.size), transforms.ToTensor()])
    data = FashionMNIST(options.folder, options.images, transform)
    loader = torch.utils.data.DataLoader(data, options.batch_size, shuffle=True, num_workers=2)
    net = models.resnet18(num_classes=10)
    net.conv1 = torch.nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05)
    loss_of = torch.nn.CrossEntropyLoss()
    net.train()
    images, loss_sum = 0, 0.0
    for step, (x, y) in enumerate(loader):
        if step == 20:
            began = time.perf_counter()
        optimiser.zero_grad()
        loss = loss_of(net(x), y)
        loss.backward()
        optimiser.step()
        loss_sum += loss.item()
        images += len(y) if step >= 20 else 0
    print(json.dumps({"images_per_second": images / (time.perf_counter() - began)}))


if __name__ == "__main__":
    main()
