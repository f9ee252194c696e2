"""Minimize a black box, the scipy way: no gradient, bounds, one call.

Run: python examples/01_minimize.py
"""

import numpy as np

import evoopt


def rastrigin(x):
    """Many local minima, the best of them 0 at the origin."""
    return float(10 * len(x) + np.sum(x**2 - 10 * np.cos(2 * np.pi * x)))


def main():
    x0 = np.full(5, 3.0)
    result = evoopt.minimize(
        rastrigin, x0, bounds=[(-5, 5)] * 5, options={"seed": 1, "popsize": 100, "target": 1e-8}
    )
    print(result.message)
    print(f"f = {result.fun:.2e} at {result.x.round(4)} after {result.nfev} evaluations")


if __name__ == "__main__":
    main()
