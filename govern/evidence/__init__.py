"""Evidence: a signed file that says what was done, and that anybody with the public key can check offline."""
