"""The `govern` command: one file per group of commands, loaded only when it is used."""
