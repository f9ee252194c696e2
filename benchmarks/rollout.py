"""CartPole by a population of 4-32-32-2 networks: steps per second of whole episodes.

No episode ends before the last step, so that all contestants do the same work
(`harness/cartpole.py`). The number of upright steps among the first 50 of each row and episode is
compared with a definition in float64. Later steps say nothing, because a falling pole multiplies
rounding errors by e in a dozen steps. evoopt keeps states in float64, as Gymnasium does; gymnax in
float32. gymnax takes part as its users write it, and in the two forms that were fastest with one
episode and with many. The floor is the time of the networks' multiply-adds at the sgemm peak and of
their tanh at its rate, without any physics.
"""

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.harness import cartpole, gpu, limits
from benchmarks.harness.cartpole import Game, Player
from benchmarks.harness.limits import Limits
from benchmarks.harness.options import count
from benchmarks.harness.outcome import Outcome
from benchmarks.harness.race import Case, Contestant, Rate, mean_call, race

CHECKED = 50  # steps whose results are compared
DIFFERENT = 0.01  # the share of episodes that may differ, because a limit or a tie is within rounding
QUICK = 16, 50  # popsize and steps


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--popsize", type=count, default=256, help="default 256")
    parser.add_argument("--episodes", type=count, default=1, help="episodes of each row; default 1")
    parser.add_argument("--steps", type=count, default=500, help="steps of each episode; default 500")
    parser.add_argument(
        "--quick", action="store_true", help=f"popsize {QUICK[0]} and {QUICK[1]} steps, only to see it work"
    )


@dataclass(frozen=True)
class Arithmetic:
    """An outcome: evoopt's steps a second as operations a second of the machine."""

    steps: float
    steps_at_floor: float
    flops: float
    peak: float
    agrees: bool = True  # nothing to disagree about

    def table(self) -> str:
        return (
            f"evoopt's {self.steps / 1e6:.3g} M steps/s are {self.flops / 1e9:.3g} GFLOP/s of its networks, "
            f"{self.flops / self.peak:.0%} of the sgemm peak.\nMultiply-adds at that peak and tanh at its "
            f"rate would make {self.steps_at_floor / 1e6:.3g} M steps/s."
        )

    def as_dict(self) -> dict[str, Any]:
        return {"name": "limits of the steps"} | asdict(self)


def run(args: argparse.Namespace) -> Iterator[Outcome | Limits | Arithmetic]:
    popsize, steps = QUICK if args.quick else (args.popsize, args.steps)
    measured = limits.measure(args.threads)
    yield measured
    game = Game.of(popsize, args.episodes, steps)
    outcome = race(case(game, measured, args.threads), args.seconds, args.threads)
    yield outcome
    seconds, n = outcome.timings[0].median, popsize * args.episodes * steps
    demand = game.demand()
    flops = 2 * demand.multiply_adds / seconds
    yield Arithmetic(n / seconds, n / measured.floor(demand), flops, measured.flops)


def case(game: Game, measured: Limits, threads: int) -> Case:
    expected = cartpole.reference(game, CHECKED)
    jax, gymnasium = ("jax", "gymnax"), ("gymnasium", "torch")

    def contestant(name: str, play: Any, packages: tuple[str, ...] = ()) -> Contestant:
        return Contestant(name, partial(play, game), packages, _checked)

    contestants = [
        contestant("evoopt Rollout", cartpole.evoopt_rollout),
        contestant("gymnax, jit(vmap(scan))", cartpole.gymnax_scan, jax),
        contestant("gymnax, rows by threads", partial(cartpole.gymnax_scan, threads=threads), jax),
        contestant(
            "gymnax, sums, by threads", partial(cartpole.gymnax_scan, threads=threads, sums=True), jax
        ),
        contestant("gymnasium vector, baddbmm", cartpole.gymnasium_vector, gymnasium),
        contestant("gymnasium loop, baddbmm", cartpole.gymnasium_loop, gymnasium),
    ]
    popsize, episodes = game.shape
    return Case(
        f"rollout: CartPole, {popsize} x {'-'.join(map(str, cartpole.UNITS))} x {game.steps} steps x "
        f"{episodes} {'episode' if episodes == 1 else 'episodes'}, float32",
        contestants,
        lambda found: float(np.mean(found != expected)) if found.shape == expected.shape else np.inf,
        tolerance=DIFFERENT,
        rate=Rate(1e-6 * popsize * episodes * game.steps, "M steps/s"),
        limits=measured.of(game.demand()),
        clock=lambda player, calls: mean_call(player, calls) * game.steps / player.steps,
    )


def _checked(player: Player) -> Any:
    return np.asarray(player.play(CHECKED))


def run_on_device(args: argparse.Namespace) -> Iterator[Outcome | gpu.Limits]:
    measured = gpu.measure()
    yield measured
    for popsize in (256, 16_384):
        game = Game.of(popsize, 1, 500)
        yield race(
            gpu.rollout(game, cartpole.reference(game, CHECKED), DIFFERENT), args.seconds, args.threads
        )
