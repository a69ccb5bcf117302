"""LLaVA-NeXT keeps every promise."""

from support.subjects import LlavaNextSubject

from v2drop.conformance import AdapterConformance


class TestLlavaNext(LlavaNextSubject, AdapterConformance):
    pass
