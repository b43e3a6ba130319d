"""The worker: the only process that holds the admin key. Runs the timetable and carries out effects."""
