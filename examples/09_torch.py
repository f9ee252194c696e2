"""Evolve a convolutional network of torch on 1,797 handwritten digits, and write it back.

`FunctionNetwork` runs the module on the whole population by `torch.vmap`.

Run: python examples/09_torch.py [--seed 0] [--generations 300]   (needs torch)
"""

import argparse

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

import evoopt

torch.manual_seed(0)
module = nn.Sequential(
    *(nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU()), *(nn.Flatten(), nn.Linear(8 * 4 * 4, 10))
)
spec = evoopt.ParamSpec.from_params(dict(module.named_parameters()))


def call(params, inputs):
    return torch.func.functional_call(module, params, (inputs,))


def forward(population, inputs, state):
    """Return the outputs (popsize, batch, 10) of all individuals for shared inputs."""
    leaves = spec.flat(spec.unravel(population))  # views of the population
    params = {name: torch.from_numpy(leaves[name]) for name in spec.names}
    with torch.no_grad():
        return torch.vmap(call, (0, None))(params, torch.from_numpy(inputs))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--generations", type=int, default=300)
    options = parser.parse_args()

    images, labels = load_digits(return_X_y=True)
    inputs = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    order = np.random.default_rng(0).permutation(len(labels))
    training, test = order[:1400], order[1400:]

    net = evoopt.FunctionNetwork(forward, spec, input_shape=(1, 8, 8), output_shape=(10,))
    task = evoopt.Supervised(net, inputs[training], labels[training], batch_size=200)
    start = spec.ravel(dict(module.named_parameters()))
    es = evoopt.SNES(start, sigma=0.1, popsize=64, noisy=True, seed=options.seed)
    result = evoopt.evolve(es, task, max_generations=options.generations, progress=True)

    best = spec.flat(spec.unravel(result.x))
    module.load_state_dict({name: torch.tensor(best[name]) for name in spec.names})
    with torch.no_grad():
        classes = module(torch.from_numpy(inputs[test])).argmax(dim=1).numpy()
    print(f"test accuracy of the module: {(classes == labels[test]).mean():.3f}")


if __name__ == "__main__":
    main()
