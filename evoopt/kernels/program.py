"""A network as data: a table of integers that one compiled program runs, whatever the network.

Each row is one operation; its columns are named below. Offsets count from the start of the vector they read:
an individual's row of the population, or the shared vector of frozen parameters.
"""

# Operations. DENSE makes new features, all others work in place.
DENSE, TANH, RELU, SIGMOID, GELU, SILU, SOFTMAX, FUNCTION = range(8)

# Columns. FUNCTION holds the address of a user's compiled function, valid in this process only.
OPERATION, INPUTS, OUTPUTS, KERNEL, KERNEL_FROZEN, BIAS, BIAS_FROZEN, ADDRESS = range(8)
COLUMNS = 8

ACTIVATIONS = {
    "tanh": TANH,
    "relu": RELU,
    "sigmoid": SIGMOID,
    "gelu": GELU,
    "silu": SILU,
    "softmax": SOFTMAX,
}
