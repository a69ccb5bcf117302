"""The interface to transformers: the only code that knows its masks, caches, arguments and outputs."""
