"""What happened, told to whoever listens: the signed record, the outbox, and the relay to RabbitMQ."""
