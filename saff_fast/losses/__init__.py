"""Training losses, one module a family; each returns named terms."""
