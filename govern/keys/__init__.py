"""Keys: our stable credential, the native versions behind it, and every key that OpenAI lists."""
