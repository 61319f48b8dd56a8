name  = "orders"
image = { build = { context = "app" } }
auth  = { iam = {} }
api   = { domain = { name = "api.example.com", base_path = "orders", existing = true } }
