"""The runtime of an attached model: its hooks, the state of each forward pass, and the record stored on the cache."""
