"""How good a network is on few held-out images, told apart as finely as they allow."""

import numpy as np

from resnetkit import inference
from resnetkit.classifier import Classifier
from resnetkit.config import Precision
from resnetkit.data.sources import Source
from resnetkit.exits import temperature
from resnetkit.metrics import log_softmax


def calibrated_loss(
    classifier: Classifier, source: Source, *, workers: int, precision: Precision
) -> float:
    """Cross-entropy at the temperature that makes it least: the lower the better.

    Accuracy counts whole images, and of few of them differences drown in chance; the loss itself
    would prefer recipes without label smoothing, which are more sure of themselves.
    Of images with several classes each it is the mean over all yes and no.
    """
    found = inference.run(
        classifier.engine(precision), source, classifier.transform, workers=workers
    )
    logits, labels = found.outputs.astype(np.float64), found.labels
    if classifier.task == "multi-label":  # a yes or no is a class of two, with logits z and 0
        yes = logits.reshape(-1)
        logits, labels = np.stack([np.zeros_like(yes), yes], 1), labels.reshape(-1).astype(int)
    likely = log_softmax(logits / temperature(logits, labels))
    return float(-likely[np.arange(len(labels)), labels].mean())
