name  = "orders"
image = { build = { context = "app" } }
auth  = { public = { reason = "Says hello to everybody" } }
