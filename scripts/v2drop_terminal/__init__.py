"""What commands say at a terminal: errors, missing libraries, progress."""
