"""Lambda's edge: the handler that Lambda calls, and what makes it start faster."""
