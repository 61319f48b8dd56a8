name         = "people-api"
jwt_issuer   = "https://login.example.com"
jwt_audience = "people-api"
