"""Comparisons of methods and models: contenders, questions, and tables of results."""
