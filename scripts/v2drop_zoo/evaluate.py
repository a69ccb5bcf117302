"""`python -m v2drop_zoo.evaluate` is `python -m v2drop_zoo_training.evaluate` now; the old name goes with the next release."""

from v2drop.renamed import stand_in

stand_in(__name__, "v2drop_zoo_training.evaluate")
