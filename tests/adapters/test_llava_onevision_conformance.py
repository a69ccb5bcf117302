"""LLaVA-OneVision keeps every promise, with pictures and videos mixed in one prompt."""

from support.subjects import LlavaOnevisionSubject

from v2drop.conformance import AdapterConformance


class TestLlavaOnevision(LlavaOnevisionSubject, AdapterConformance):
    pass
