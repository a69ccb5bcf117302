"""Qwen2.5-VL keeps every promise, with pictures and videos mixed in one prompt."""

from support.subjects import Qwen25VLSubject

from v2drop.conformance import AdapterConformance


class TestQwen25VL(Qwen25VLSubject, AdapterConformance):
    pass
