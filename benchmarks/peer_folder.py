"""The plain loop on a folder of JPEGs; run in the environment of `make peers`.

ImageFolder, torchvision's usual transforms, DataLoader with 2 workers, resnet18 in fp32, default
layout, SGD with momentum. Prints images/s from step 20 on as JSON.
"""

import argparse
import json
import time

import torch

from peer_libraries import peer_libraries


def main() -> None:
    torchvision, _ = peer_libraries()
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--size", type=int, default=96)
    options = parser.parse_args()
    t = torchvision.transforms
    steps = [t.RandomResizedCrop(options.size, scale=(0.35, 1)), t.RandomHorizontalFlip(),
             t.ToTensor(), t.Normalize((0.5,) * 3, (0.25,) * 3)]  # fmt: skip
    data = torchvision.datasets.ImageFolder(options.folder, t.Compose(steps))
    loader = torch.utils.data.DataLoader(data, options.batch_size, shuffle=True, num_workers=2)
    net = torchvision.models.resnet18(num_classes=len(data.classes)).train()
    optimiser = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
    loss_of, images = torch.nn.CrossEntropyLoss(), 0
    for step, (x, y) in enumerate(loader):
        if step == 20:
            began = time.perf_counter()
        if step == options.steps:
            break
        optimiser.zero_grad()
        loss_of(net(x), y).backward()
        optimiser.step()
        images += len(y) if step >= 20 else 0
    print(json.dumps({"images_per_second": images / (time.perf_counter() - began)}))


if __name__ == "__main__":
    main()
