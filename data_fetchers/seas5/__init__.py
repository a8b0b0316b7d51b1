"""seas5."""
