"""LLaVA-1.5 keeps every promise."""

from support.subjects import LlavaSubject

from v2drop.conformance import AdapterConformance


class TestLlava(LlavaSubject, AdapterConformance):
    pass
