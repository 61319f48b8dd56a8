"""What makes a cold start shorter."""
