"""Numbers from runs: figures with intervals, and comparisons."""
