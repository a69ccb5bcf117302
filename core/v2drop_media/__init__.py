"""Reads pictures and videos for every architecture, so that a model is shown what a person sees."""
