"""Claude Code: how it is started, what its hooks, transcripts and screen tell, and how it is typed to."""
