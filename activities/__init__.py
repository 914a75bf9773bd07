"""Activities: what the session workflow has done, each idempotent by its key."""
