"""Who may do what: roles and permissions, sessions, API tokens, devices, one-time set-up links, repeated requests."""
