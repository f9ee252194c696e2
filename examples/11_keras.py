"""Evolve a Keras model on 1,797 handwritten digits and write the best parameters back.

`FunctionNetwork` runs the model on the whole population by `jax.vmap`: Keras's backend is JAX.

Run: python examples/11_keras.py [--seed 0] [--generations 150]   (needs keras and jax)
"""

import argparse
import os

os.environ["KERAS_BACKEND"] = "jax"  # before Keras is imported

import jax
import keras
import numpy as np
from sklearn.datasets import load_digits

import evoopt

keras.utils.set_random_seed(0)
layers = keras.layers.Dense(32, activation="tanh"), keras.layers.Dense(10)
model = keras.Sequential([keras.Input((64,)), *layers])
variables = {variable.path: variable for variable in model.trainable_variables}
rest = [variable.value for variable in model.non_trainable_variables]
params = {path: variable.value for path, variable in variables.items()}
spec = evoopt.ParamSpec.from_params(params)


def call(params, inputs):
    outputs, _ = model.stateless_call([params[path] for path in variables], rest, inputs)
    return outputs


run = jax.jit(jax.vmap(call, in_axes=(0, None)))


def forward(population, inputs, state):
    """Return the outputs (popsize, batch, 10) of all individuals for shared inputs."""
    return run(spec.unravel(population), inputs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--generations", type=int, default=150)
    options = parser.parse_args()

    images, labels = load_digits(return_X_y=True)
    inputs = (images / 16).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(labels))
    training, test = order[:1400], order[1400:]

    net = evoopt.FunctionNetwork(forward, spec, input_shape=(64,), output_shape=(10,))
    task = evoopt.Supervised(net, inputs[training], labels[training])
    es = evoopt.SNES(spec.ravel(params), sigma=0.1, popsize=64, seed=options.seed)
    result = evoopt.evolve(es, task, max_generations=options.generations, progress=True)

    for path, leaf in spec.unravel(result.x).items():
        variables[path].assign(leaf)
    classes = model.predict(inputs[test], verbose=0).argmax(axis=1)
    print(f"test accuracy of the model: {(classes == labels[test]).mean():.3f}")


if __name__ == "__main__":
    main()
