"""The 1,797 handwritten digits that come with scikit-learn: images of 8x8 numbers from 0 to 1."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import machine

Samples = tuple[NDArray[np.float32], NDArray[Any]]  # (samples, 64) and labels (samples,)


def load() -> Samples:
    if not machine.installed("sklearn"):
        raise SystemExit(f"The digits come with scikit-learn, which is not here: {machine.INSTALL}.")
    from sklearn.datasets import load_digits

    inputs, labels = load_digits(return_X_y=True)
    return (inputs / 16).astype(np.float32), labels


def split() -> list[Samples]:
    """Return training (60%), validation and test samples (20% each), as examples/04_digits.py."""
    inputs, labels = load()
    order = np.random.default_rng(0).permutation(len(labels))
    parts = np.split(order, [int(0.6 * len(order)), int(0.8 * len(order))])
    return [(inputs[part], labels[part]) for part in parts]
