name    = "orders"
image   = { build = { context = "app" } }
auth    = { iam = {} }
release = { version = 7 }
