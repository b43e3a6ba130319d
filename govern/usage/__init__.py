"""Usage and costs: what OpenAI reports, kept exactly, attributed to people, rolled up to daily spend on two clocks."""
