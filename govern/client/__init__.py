"""The thin client: sign in, fetch one's own key into the keychain, run a program with it. It imports nothing of the server."""
