"""Pages and plots: what dropping kept on a picture, and what a comparison found."""
