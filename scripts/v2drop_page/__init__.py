"""Pages and plots: the tokens kept on a picture, and the results of a comparison."""
