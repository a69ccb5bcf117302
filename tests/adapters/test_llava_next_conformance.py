"""LLaVA-NeXT keeps every promise."""

from subjects import LlavaNextSubject

from v2drop.conformance import AdapterConformance


class TestLlavaNext(LlavaNextSubject, AdapterConformance):
    pass
