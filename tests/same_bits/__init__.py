"""Whether a commit and the working tree compute the same bits: ``python -m tests.same_bits COMMIT``.

`catalogue` makes the cases, from what `evoopt` exports and what its options take (`public`): a new strategy,
layer, activation, loss, environment or method of `minimize` is in it by itself. A case yields results, each
with a label. `child` runs the cases with the `evoopt` that it finds and writes a digest of each result;
`runner` has it do so with the commit and with the working tree; `comparison` says what differs.

Cases use the public API alone, because they run with both. Bits differ between processors, so both run on
this machine.
"""
