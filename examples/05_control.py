"""Train a network to swing up a pole and balance it, by an evolution strategy.

The pole hangs from a cart. No example shows how to control it; the reward is to be upright in the
middle of the track. All episodes of a generation run in one compiled kernel.

Run: python examples/05_control.py [--seed 0] [--plot history.png] [--gif swingup.gif]
"""

import argparse
import time

import numpy as np

import evoopt


def play(act, env, seed=1):
    """Play one episode with a policy; return the states (steps, state_size)."""
    state, observation = np.empty(env.state_size), np.empty(env.observation_size)
    env.reset(state, np.random.default_rng(seed).random(env.uniforms))
    states, done = [], False
    while not done and len(states) < env.max_steps:
        states.append(state.copy())
        env.observe(state, observation)
        _, done = env.step(state, act(observation))
    return np.array(states)


def save_gif(path, states):
    """Save an animation of cart and pole, with every fourth state; a state lasts 0.01 s."""
    from matplotlib.animation import FuncAnimation, PillowWriter  # noqa: PLC0415  (an optional extra)
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(4.8, 2.4), dpi=80, layout="constrained")
    axes = figure.add_subplot(xlim=(-2.6, 2.6), ylim=(-0.9, 0.9), aspect="equal")
    axes.set_axis_off()
    axes.plot([-2.4, 2.4], [0, 0], color="0.7", linewidth=2, zorder=0)
    (cart,) = axes.plot([], [], "s", color="0.2", markersize=16)
    (pole,) = axes.plot([], [], color="tab:red", linewidth=4, solid_capstyle="round")

    def draw(state):
        x, theta = state[0], state[2]
        cart.set_data([x], [0])
        pole.set_data([x, x - 0.6 * np.sin(theta)], [0, 0.6 * np.cos(theta)])
        return cart, pole

    FuncAnimation(figure, draw, states[::4], blit=True).save(path, PillowWriter(fps=25))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", metavar="FILE", help="draw the history (matplotlib)")
    parser.add_argument("--gif", metavar="FILE", help="draw an episode of the trained network (matplotlib)")
    options = parser.parse_args()

    net = evoopt.Network([evoopt.Dense(16, "tanh"), evoopt.Dense(1)], input_shape=(5,))
    task = evoopt.Rollout(net, evoopt.envs.cartpole_swingup, episodes=4)
    print(net)
    es = evoopt.SNES(
        net.init(options.seed), sigma=1.0, popsize=64, maximize=True, noisy=True, seed=options.seed
    )
    start = time.perf_counter()
    result = evoopt.evolve(es, task, max_generations=200, progress=True)
    seconds = time.perf_counter() - start

    judged = task.evaluate(result.x, episodes=100)  # episodes that training never saw
    print(
        f"return {judged['return']:.0f} +- {judged['return_std']:.0f} of at most 1000 "
        f"after {result.nfev * task.episodes} episodes, {seconds:.1f} s"
    )
    if options.plot:
        evoopt.plot_history(result).savefig(options.plot)
    if options.gif:
        save_gif(options.gif, play(task.policy(result.x), task.env))


if __name__ == "__main__":
    main()
