"""Users and customers as one HTTP API on one Lambda function."""
