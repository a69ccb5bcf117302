"""`python -m v2drop_zoo.train` is `python -m v2drop_zoo_training.train` now; the old name goes with the next release."""

from v2drop.renamed import stand_in

stand_in(__name__, "v2drop_zoo_training.train")
