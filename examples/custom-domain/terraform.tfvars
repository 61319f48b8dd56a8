domain  = "api.example.com"
zone_id = "Z0123456789EXAMPLE"
