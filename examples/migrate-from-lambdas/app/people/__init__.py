"""Users and customers under the contract of the old functions, while their routes and data move (docs/migrating.md)."""
