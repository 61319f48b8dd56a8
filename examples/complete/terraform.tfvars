name = "people-api"
