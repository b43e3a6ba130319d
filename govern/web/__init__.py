"""The web door: REST API, dashboard, sign-in. It holds no rules and no admin key."""
