name  = "orders"
image = { build = { context = "app" } }
auth  = { jwt = { issuer = "https://login.example.com/tenant", audience = ["orders", "admin"] } }
api   = { cors = { allow_origins = ["*"] } }
