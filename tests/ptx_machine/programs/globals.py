"""Device objects in globals of a program, alive when Python ends."""

import numpy as np

import evoopt

rng = np.random.default_rng(0)
net = evoopt.Network([evoopt.Dense(4, "tanh"), evoopt.Dense(2)], input_shape=(4,), device="cuda")
supervised = evoopt.Supervised(net, rng.normal(size=(20, 4)), rng.integers(0, 2, size=20))
rollout = evoopt.Rollout(net, evoopt.envs.cartpole, max_steps=5, device="cuda")
rows = fitness = None
strategies = []
for name in ("SNES", "SepCMAES", "OpenAIES", "PGPE", "GA", "CMAES"):  # the last computes on the CPU
    strategy = getattr(evoopt, name)(net.init(seed=0), 0.1, popsize=4, seed=1, device="cuda")
    for task in (supervised, rollout):
        rows = strategy.ask()
        fitness = task(rows, strategy.generation)
        strategy.tell(rows, fitness if task is supervised else -np.asarray(fitness))
    strategies.append(strategy)
print(len(strategies))
