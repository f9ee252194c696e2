"""``minimize(method="auto")``: cheap local models first, then restarted CMA-ES."""
