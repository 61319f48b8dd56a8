provider "aws" {}

# Login for the push: the provider does not read Docker's credential store.
provider "docker" {
  registry_auth {
    address  = data.aws_ecr_authorization_token.this.proxy_endpoint
    username = data.aws_ecr_authorization_token.this.user_name
    password = data.aws_ecr_authorization_token.this.password
  }
}

data "aws_ecr_authorization_token" "this" {}

# A release in four applies. Each changes only these two variables or the source:
#   1. release_version = null                  the newest version serves (say it is 7)
#   2. release_version = 7                     pinned: a source edit builds and publishes 8, which takes no traffic yet
#   3. release_version = 7, canary_percent = 10   8 passes the smoke test, then gets a tenth of the requests
#   4. release_version = null                  8 serves. If the canary fails instead: canary_percent = 0, and 7 serves as before
# `python -m delivery rollout` makes these applies, watches the alarms, and returns by itself.
# To roll back, set the same variable: release_version = 7. Nothing is rebuilt, and it works while the newest version is broken.
module "api" {
  source = "../../modules/lambda_container_api"

  name  = "release-api"
  image = { build = { context = "../minimal/app", source_hash = var.source_hash } }
  auth  = { public = { reason = "Says hello to everybody and holds no data" } }

  release = {
    version        = var.release_version
    canary_percent = var.canary_percent
    smoke          = { path = "/healthz", status = 200 }
  }
}
