"""Qwen2-VL keeps every promise, with pictures and videos mixed in one prompt."""

from support.subjects import Qwen2VLSubject

from v2drop.conformance import AdapterConformance


class TestQwen2VL(Qwen2VLSubject, AdapterConformance):
    pass
