availability_zones = ["eu-central-1a", "eu-central-1b"]
