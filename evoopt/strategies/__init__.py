"""Strategies: ``ask`` returns a population, ``tell`` learns from fitness; one algorithm a file."""

from evoopt.strategies.bipop import BIPOP
from evoopt.strategies.cmaes import CMAES
from evoopt.strategies.contract.base import Strategy
from evoopt.strategies.contract.checkpoint import load
from evoopt.strategies.contract.registry import REGISTRY, register
from evoopt.strategies.contract.told import Best, Told
from evoopt.strategies.deepga import DeepGA
from evoopt.strategies.ga import GA
from evoopt.strategies.ipop import IPOP
from evoopt.strategies.lmmaes import LMMAES
from evoopt.strategies.openaies import OpenAIES
from evoopt.strategies.parts.schedules import CosineDecay, LinearDecay
from evoopt.strategies.pgpe import PGPE
from evoopt.strategies.sepcmaes import SepCMAES
from evoopt.strategies.snes import SNES
from evoopt.strategies.xnes import XNES

__all__ = [
    "BIPOP",
    "CMAES",
    "GA",
    "IPOP",
    "LMMAES",
    "PGPE",
    "REGISTRY",
    "SNES",
    "XNES",
    "Best",
    "CosineDecay",
    "DeepGA",
    "LinearDecay",
    "OpenAIES",
    "SepCMAES",
    "Strategy",
    "Told",
    "load",
    "register",
]
