"""The inventory: everything else that can spend money or administer, as OpenAI lists it, and OpenAI's own audit log."""
