"""Move an API of one-operation Lambda functions to the module: docs/migrating.md."""
