name     = "orders"
image    = { build = { context = "app" } }
auth     = { iam = {} }
function = { architecture = "arm64" }
