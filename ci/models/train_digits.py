"""Train the digits CNN that the demo and the tests build.

    pip install torch scikit-learn onnx
    python ci/models/train_digits.py

Data: the 1,797 8x8 images of handwritten digits (UCI) that scikit-learn carries.
Writes digits.onnx (about 100 KB) and digits-inputs.npz (sixteen held-out images) beside this file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

FOLDER = Path(__file__).parent
EPOCHS = 60
BATCH = 64
EXPORTED_BATCH = 16


def main() -> None:
    """Train, report the held-out accuracy, export."""
    torch.manual_seed(0)
    images, labels = load_digits(return_X_y=True)
    images = (images / 16.0).astype(np.float32).reshape(-1, 1, 8, 8)
    split = train_test_split(images, labels, test_size=0.2, random_state=0, stratify=labels)
    train_x, test_x, train_y, test_y = map(torch.from_numpy, split)
    model = network()
    train(model, train_x, train_y)
    model.eval()
    with torch.no_grad():
        accuracy = (model(test_x).argmax(1) == test_y).float().mean().item()
    print(f"held-out accuracy: {accuracy:.3f}")
    sample = test_x[:EXPORTED_BATCH]
    torch.onnx.export(
        nn.Sequential(model, nn.Softmax(dim=1)),
        (sample,),
        str(FOLDER / "digits.onnx"),
        input_names=["image"],
        output_names=["probabilities"],
        opset_version=17,
        dynamo=False,
    )
    np.savez_compressed(FOLDER / "digits-inputs.npz", image=sample.numpy())


def network() -> nn.Sequential:
    """Return a CNN for [N, 1, 8, 8] images with logits [N, 10]."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 48, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(48, 10),
    )


def train(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
    """Minimise cross-entropy with Adam, batches shuffled anew each epoch."""
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    for _ in range(EPOCHS):
        order = torch.randperm(len(images))
        for batch in order.split(BATCH):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimiser.step()
        schedule.step()


if __name__ == "__main__":
    main()
