"""What was observed: the model, its text, and how two observations become one."""
