"""Looking at the running system: what each part needs to do its work now, and the way out where it cannot."""
