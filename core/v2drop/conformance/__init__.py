"""The conformance kit: tests that every adapter must pass, which a contributor's test class inherits.

    from v2drop.conformance import AdapterConformance

    class TestMyModel(AdapterConformance):
        adapter = MyAdapter
        placeholders = (99,)

        def build_model(self): ...
        def make_sample(self, generator, media): ...

`pytest -v` then prints one line per test. See `v2drop docs adding-an-architecture`.
"""

from .promises import AdapterConformance
from .subject import Subject
from .truth import MaskingTruth

__all__ = ["AdapterConformance", "MaskingTruth", "Subject"]
