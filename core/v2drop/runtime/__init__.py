"""One forward call of an attached model, from the model's hooks to what the cache remembers."""
