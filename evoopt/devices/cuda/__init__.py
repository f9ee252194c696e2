"""Engines that compute on a GPU, imported only for ``device="cuda"``."""
