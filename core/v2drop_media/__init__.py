"""Reading picture files for every architecture: what a model is shown is what a person sees. See `v2drop_media.images`."""
