"""What users can set: the model, its value types, and how files, inputs and flags are combined."""
