"""Projects, and who and what stands in them, as last seen at OpenAI."""
