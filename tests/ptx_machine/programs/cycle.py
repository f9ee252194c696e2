"""Device objects in a cycle of garbage, which Python takes apart in an order of its own."""

import gc

import numpy as np

import evoopt


def make_garbage() -> None:
    net = evoopt.Network([evoopt.Dense(4, "tanh"), evoopt.Dense(2)], input_shape=(4,), device="cuda")
    strategy = evoopt.SNES(net.init(seed=0), 0.1, popsize=4, seed=1, device="cuda")
    supervised = evoopt.Supervised(net, np.ones((20, 4)), np.arange(20) % 2)
    rows = strategy.ask()
    fitness = supervised(rows, 0)
    strategy.tell(rows, fitness)
    own = net.forward(rows, np.ones((4, 3, 4)))
    cycle = [net, strategy, supervised, rows, fitness, own]
    cycle.append(cycle)


for _ in range(3):
    make_garbage()
    print(gc.collect() > 0)
