"""Minimize a black-box function within bounds by one call, as in scipy.

Run: python examples/01_minimize.py
"""

import numpy as np

import evoopt


def rastrigin(x):
    """Return Rastrigin's function: many local minima, the best is 0 at the origin."""
    return float(10 * len(x) + np.sum(x**2 - 10 * np.cos(2 * np.pi * x)))


def main():
    x0 = np.array([3.3, -2.2, 4.1, 0.7, -3.8])
    bounds = [(-5, 5)] * 5
    # the default method is a portfolio of searches, and its message names them
    result = evoopt.minimize(rastrigin, x0, bounds=bounds, options={"seed": 1, "target": 1e-8})
    print(result.message)
    print(f"f = {result.fun:.2e} at {result.x.round(4)} after {result.nfev} evaluations")

    # one strategy, here CMA-ES restarted with larger and larger populations
    options = {"seed": 1, "target": 1e-8, "maxfun": 200_000}
    result = evoopt.minimize(rastrigin, x0, method="ipop", bounds=bounds, options=options)
    print(result.message)
    print(f"f = {result.fun:.2e} at {result.x.round(4)} after {result.nfev} evaluations")


if __name__ == "__main__":
    main()
