name                    = "orders"
image                   = { build = { context = "app" } }
auth                    = { iam = {} }
provisioned_concurrency = { min = 3 }
