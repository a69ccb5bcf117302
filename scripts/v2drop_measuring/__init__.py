"""Measures time, memory and accuracy, with their statistics."""
