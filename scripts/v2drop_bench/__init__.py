"""Speed and memory of models at published sizes, with random weights: `v2drop bench`."""
