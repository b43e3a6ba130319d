"""Who may do what: roles and permissions, sessions, API tokens, one-time set-up links, repeated requests."""
