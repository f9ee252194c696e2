"""Runs of solvers on test functions, recorded as COCO does."""
