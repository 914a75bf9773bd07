"""What a person can set: by file, environment and default; ``docs/configuration.md`` says it all."""
