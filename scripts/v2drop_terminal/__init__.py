"""Terminal output of commands: errors, missing libraries and progress."""
