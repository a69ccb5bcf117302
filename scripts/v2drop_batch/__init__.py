"""Bulk inference on Ray Data, for `v2drop batch`: a pool of attached models answers blocks of questions."""
