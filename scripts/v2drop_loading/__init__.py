"""Models, schedules, media and questions, from what a user named to what a model takes."""
