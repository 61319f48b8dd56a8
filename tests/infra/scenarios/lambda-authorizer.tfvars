name  = "orders"
image = { build = { context = "app" } }
auth  = { lambda = { function_arn = "arn:aws:lambda:eu-central-1:111122223333:function:authorize:live", ttl_seconds = 60 } }
