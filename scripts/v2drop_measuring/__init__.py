"""Time, memory and accuracy, and the statistics of what was measured."""
