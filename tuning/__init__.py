"""Proposes memory and concurrency of a Lambda function from the REPORT lines of its log: docs/tuning.md."""
