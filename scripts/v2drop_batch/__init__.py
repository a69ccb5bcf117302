"""Bulk inference on Ray Data, behind `v2drop batch`: blocks of questions, a pool of attached models, one parquet file a block."""
