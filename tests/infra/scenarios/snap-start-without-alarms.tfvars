name      = "orders"
image     = { build = { context = "app" } }
auth      = { iam = {} }
function  = { snap_start = true }
alarms    = null
dashboard = false
