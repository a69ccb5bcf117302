"""Comparisons of methods and models: who takes part, what is asked, and the tables of results."""
