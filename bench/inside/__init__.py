"""What the bench runs inside a process of the platform, with its settings."""
