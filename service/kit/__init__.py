"""What every API of this kind shares: it knows no domain, no settings and no Lambda function."""
