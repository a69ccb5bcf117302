"""`python -m v2drop_zoo.card` is `python -m v2drop_zoo_training.card` now; the old name goes with the next release."""

from v2drop.renamed import stand_in

stand_in(__name__, "v2drop_zoo_training.card")
