"""The forward pass of a torch module, recorded as a graph of layers."""
