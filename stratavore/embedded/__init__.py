"""Temporal, Postgres and RabbitMQ as private children for one machine."""
