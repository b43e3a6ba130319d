"""The dashboard. One file per slice; every module's `blueprint` is registered by `govern.web.app`."""
