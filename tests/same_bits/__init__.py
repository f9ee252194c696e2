"""A comparison of the bits of a commit and the working tree: ``python -m tests.same_bits COMMIT``.

`catalogue` makes the cases from the exports of `evoopt` and the values of its options (`public`): a
new strategy, layer, activation, loss, environment or method of `minimize` has cases without further
work. A case yields results, each with a label. `child` runs the cases with the `evoopt` that it
finds and writes a digest of each result; `runner` runs a child with the commit and another with the
working tree; `comparison` reports the differences.

Cases use the public API alone, because they run with both. Bits differ between processors, so both
run on this machine.
"""
