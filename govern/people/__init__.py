"""People: the employees, known from sign-in, from a directory, or from the organization itself."""
