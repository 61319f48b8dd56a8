"""Users: people by their e-mail addresses, each of which is taken once."""
