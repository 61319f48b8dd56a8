# The API behind CloudFront and a firewall (WAF), which HTTP APIs do not support themselves. Clients use `domain`.
#
# The API's own endpoint has to stay on, since it is CloudFront's origin, and HTTP APIs have no resource policy. So CloudFront adds a header
# with a secret value, and the application refuses requests without it: see app/main.py. The check is part of each version, so that the
# release gate tests it, and `auth` stays free for the users' tokens. A Lambda authorizer could check the header instead, but a route has only
# one authorizer, and no gate would test it. Without a shared secret it takes mTLS from CloudFront to a custom domain of the API, which AWS
# provider 5 does not support: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/origin-mtls-authentication.html
#
# List prices: WAF $5 a month for the web ACL, $4 for its four rules, and $0.60 per million requests; CloudFront about $1 per million HTTPS
# requests and $0.085 per GB (North America and Europe) above the free ten million requests and 1 TB a month.
#
# Limits: an apply waits some minutes until CloudFront has deployed a change. The application sees CloudFront as the client (the client's
# address is in X-Forwarded-For), and the API's own host name, which is in any absolute URL that it returns. Requests to the API's own
# endpoint are refused, but they do count towards `api.throttle`.

provider "aws" {}

# CloudFront's certificate, firewall and their logs are in this region, wherever the API is.
provider "aws" {
  alias  = "us_east_1"
  region = "us-east-1"
}

provider "docker" {
  registry_auth {
    address  = data.aws_ecr_authorization_token.this.proxy_endpoint
    username = data.aws_ecr_authorization_token.this.user_name
    password = data.aws_ecr_authorization_token.this.password
  }
}

data "aws_ecr_authorization_token" "this" {}

module "api" {
  source = "../../modules/lambda_container_api"

  name  = "edge-api"
  image = { build = { context = "app", args = { BASE_IMAGE = var.base_image } } }

  # A hash cannot be sent in place of the value, so whoever may read the function's configuration cannot bypass the firewall.
  function = { environment = { ORIGIN_VERIFY_SHA256 = join(",", sort([for value in var.origin_secrets : nonsensitive(sha256(value))])) } }

  # Or jwt: the gateway checks the users' tokens, the application the header.
  auth = { public = { reason = "Serves only requests that come through CloudFront" } }

  # A version that would serve without the header, or refuse CloudFront, is not released.
  release = {
    smoke = {
      also = [
        { path = "/", status = 403 },
        { path = "/", headers = { x-origin-verify = var.origin_secrets[0] } },
      ]
    }
  }
}
