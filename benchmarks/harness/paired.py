"""Differences between two contestants on the same problems and seeds."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

CONFIDENCE = 0.95


class Paired(NamedTuple):
    """A mean difference with its 95% interval.

    `p` is the probability of a mean at least as large if there were no difference, by a one-sided
    paired t-test.
    """

    mean: float
    low: float
    high: float
    p: float

    @classmethod
    def of(cls, differences: ArrayLike) -> "Paired":
        found = np.asarray(differences, np.float64)
        mean = float(found.mean())
        if np.ptp(found) == 0:  # certain, and no test can be made
            return cls(mean, mean, mean, 0.0 if mean > 0 else 1.0)
        interval = stats.ttest_1samp(found, 0.0).confidence_interval(CONFIDENCE)
        p = stats.ttest_1samp(found, 0.0, alternative="greater").pvalue
        return cls(mean, float(interval.low), float(interval.high), float(p))
