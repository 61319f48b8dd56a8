name     = "orders"
image    = { build = { context = "app" } }
auth     = { iam = {} }
function = { reserved_concurrency = 0 }
alarms   = { throttles = 4, off = ["memory"] }
