"""Loads what a user names: models, schedules, media and questions."""
