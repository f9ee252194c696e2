"""Kernels that play the episodes of a population, in one of three ways.

- `samples.play_as_samples`, for a recurrent or large network: each episode is a sample of its row.
- `tiles.play_in_tiles`, for many episodes: a row's episodes lie side by side, in tiles of samples.
- `lanes.play_in_lanes`, for a small network and few episodes: each lane plays another row.

`episode.py` has the parts that all three share, `vector.py` the parts that the last two share, and
`environment.py` makes machine code of an environment's functions.
"""
