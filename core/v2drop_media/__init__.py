"""Reading pictures and videos as people see them, on any architecture's behalf."""
