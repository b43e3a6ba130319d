"""Provisioning: what an identity provider holds of people, and what it starts and ends here."""
