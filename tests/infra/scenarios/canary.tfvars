name    = "orders"
image   = { build = { context = "app" } }
auth    = { iam = {} }
release = { version = 7, canary_percent = 10 }
