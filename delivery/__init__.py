"""A watched rollout of an API's next version, through Terraform only: docs/delivery.md."""
