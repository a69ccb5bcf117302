"""Builds, trains and evaluates the zoo models."""
