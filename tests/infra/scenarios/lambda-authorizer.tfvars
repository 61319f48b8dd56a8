name  = "orders"
image = { build = { context = "app" } }
auth  = { lambda = { function_arn = "arn:aws:lambda:eu-central-1:000000000000:function:authorize:live", ttl_seconds = 60 } }
