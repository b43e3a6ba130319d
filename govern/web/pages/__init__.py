"""The dashboard. Each module here that has a `blueprint` is registered; each view declares who may call it (`web.access`)."""
