"""What v2drop asks of transformers: the only place that knows its masks, caches, arguments and outputs."""
