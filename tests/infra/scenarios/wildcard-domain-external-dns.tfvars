name  = "orders"
image = { build = { context = "app" } }
auth  = { iam = {} }
api = {
  domain = {
    name                  = "*.example.com"
    certificate_arn       = "arn:aws:acm:eu-central-1:111122223333:certificate/1234"
    ip_address_type       = "ipv4"
    keep_default_endpoint = true
  }
}
