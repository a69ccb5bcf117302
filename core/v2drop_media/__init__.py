"""Reading pictures and videos for every architecture: what a model is shown is what a person sees."""
