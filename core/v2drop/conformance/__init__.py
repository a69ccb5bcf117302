"""The conformance kit: what every adapter must keep to, as tests that a contributor's class inherits.

    from v2drop.conformance import AdapterConformance

    class TestMyModel(AdapterConformance):
        adapter = MyAdapter
        placeholders = (99,)

        def build_model(self): ...
        def make_sample(self, generator, media): ...

`pytest -v` then prints one line for each promise. See `v2drop docs adding-an-architecture`.
"""

from .promises import AdapterConformance
from .subject import Subject
from .truth import MaskingTruth

__all__ = ["AdapterConformance", "MaskingTruth", "Subject"]
