"""Policies: what an administrator allows keys to be, in the organization, in a project, for a group; and asking for one."""
