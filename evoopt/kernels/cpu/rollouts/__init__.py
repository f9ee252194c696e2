"""Kernels that play the episodes of a population, in one of three ways.

- `samples.play_as_samples`, of a recurrent or large network: each episode is a sample of its row.
- `tiles.play_in_tiles`, of many episodes: those of a row lie side by side, in tiles of samples.
- `lanes.play_in_lanes`, of a small network and few episodes: each lane plays another row.

`episode.py` has the parts that all three share, `vector.py` those of the last two, and
`environment.py` makes machine code of the functions of an environment.
"""
