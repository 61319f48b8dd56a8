name  = "orders"
image = { build = { context = "app", source_hash = "hashed elsewhere" } }
auth = { lambda = {
  function_arn     = "arn:aws:lambda:eu-central-1:000000000000:function:authorize:live"
  identity_sources = ["$request.header.Authorization"]
  ttl_seconds      = 60
} }
