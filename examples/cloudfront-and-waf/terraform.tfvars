certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/12345678-1234-1234-1234-123456789012"
domain          = "api.example.com"
zone_id         = "Z0123456789EXAMPLE"
