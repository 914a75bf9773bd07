"""Messages of workflows and activities, and what lists show."""
