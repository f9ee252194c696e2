"""Kernels that play the episodes of a population, in the three ways that a network's program may have.

- `few.rollout_few`, of a recurrent or large network: each episode is one sample of its row.
- `many.rollout_many`: the episodes of a row lie side by side in the lanes of vectors, as tiles of samples.
- `rows.rollout_rows`, of a small network and few episodes: each lane plays another row.

`lanes.py` has what the last two share, and `environment.py` the functions of an environment as machine code.
"""
