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

module "api" {
  source = "../../modules/lambda_container_api"

  name  = "warm-api"
  image = { build = { context = "../minimal/app" } }
  auth  = { public = { reason = "Says hello to everybody and holds no data" } }

  # At least 2 environments are always warm, and up to 20 while more than 70 % of them are in use.
  provisioned_concurrency = {
    min                = 2
    max                = 20
    target_utilization = 0.7
  }

  # Provisioned concurrency counts against reserved concurrency; during a release the next version has 2 in addition to the 20.
  function = { reserved_concurrency = 50 }

  # Watch the spillover alarm: it counts requests that found no warm environment.
  alarms = { actions = [var.alarm_topic_arn] }
}
