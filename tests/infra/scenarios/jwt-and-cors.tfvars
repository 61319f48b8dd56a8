name  = "orders"
image = { build = { context = "app" } }
auth  = { jwt = { issuer = "https://login.example.com/tenant", audience = ["orders", "admin"] } }
api   = { cors = { allow_origins = ["*"] } }
routes = {
  "ANY /admin/{rest+}"       = { auth = { iam = {} } }
  "ANY /old"                 = { legacy = { function_arn = "arn:aws:lambda:eu-central-1:000000000000:function:Old" } }
  "ANY /orders/{id}"         = { auth = { scopes = ["orders/read"] } }
  "ANY /status"              = { auth = { public = { reason = "Status page for everybody" } } }
  "GET /mine"                = { auth = { iam = {} } }
  "OPTIONS /orders/{number}" = { auth = { public = { reason = "Returns more than CORS headers" } } }
}
