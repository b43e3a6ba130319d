"""OpenAI's admin API: one client that is paced, guarded and quiet about secrets, and adapters that speak in our words."""
